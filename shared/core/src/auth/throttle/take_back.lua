-- An attempt did not fail after all. KEYS: counters that forget this attempt.
for _, key in ipairs(KEYS) do
    if tonumber(redis.call('HGET', key, 'failures') or 0) > 0 then
        redis.call('HINCRBY', key, 'failures', -1)
        redis.call('HSET', key, 'until', 0)
    end
end
