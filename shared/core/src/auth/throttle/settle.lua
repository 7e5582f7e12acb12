-- An attempt did not fail. KEYS: counters. ARGV: of each, 1 if it forgets every failure, 0 if it forgets this one.
for i, key in ipairs(KEYS) do
    if redis.call('EXISTS', key) == 1 then
        local others = math.max(tonumber(redis.call('HGET', key, 'undecided') or 0) - 1, 0)
        if ARGV[i] == '1' then
            if others == 0 then
                redis.call('DEL', key)
            else
                redis.call('HDEL', key, 'told')
                redis.call('HSET', key, 'failures', 0, 'until', 0, 'undecided', others)
            end
        else
            local failures = tonumber(redis.call('HGET', key, 'failures') or 0)
            redis.call('HSET', key, 'undecided', others)
            if failures > 0 then redis.call('HSET', key, 'failures', failures - 1, 'until', 0) end
        end
    end
end
