-- Takes an attempt or says how long to wait; it counts as failed until it is known to have succeeded, so that many at
-- once are no way around.
-- KEYS: counters. ARGV: now in ms, then of each counter: free failures, first delay, longest delay and memory in ms.
-- Answer: ms to wait; 0 where the attempt was taken. The delay is that of plinth_domain::backoff.
local now = tonumber(ARGV[1])
local wait = 0
for _, key in ipairs(KEYS) do
    wait = math.max(wait, tonumber(redis.call('HGET', key, 'until') or 0) - now)
end
if wait > 0 then return wait end
for i, key in ipairs(KEYS) do
    local free, first = tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1])
    local longest, memory = tonumber(ARGV[4 * i]), tonumber(ARGV[4 * i + 1])
    local beyond = redis.call('HINCRBY', key, 'failures', 1) - free
    local delay = 0
    if beyond > 0 then delay = math.min(first * 2 ^ math.min(beyond - 1, 30), longest) end
    redis.call('HSET', key, 'until', string.format('%.0f', now + delay))
    redis.call('PEXPIRE', key, memory)
end
return 0
