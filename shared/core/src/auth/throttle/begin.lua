-- Takes an attempt or says how long to wait; it counts as failed until it is known to have succeeded, so that many at
-- once are no way around.
-- KEYS: counters. ARGV: now in ms, ms after which an attempt without a verdict was given up, then of each counter: free
-- failures, first delay, longest delay and memory in ms.
-- Answer: ms to wait, 0 if the attempt was taken; 1 if each counter that refuses has attempts without a verdict, whose
-- success may lift the wait, else 0. The delay is that of plinth_domain::backoff.
local now, given_up = tonumber(ARGV[1]), tonumber(ARGV[2])
local function undecided(key)
    local taken = tonumber(redis.call('HGET', key, 'taken') or 0)
    if math.abs(now - taken) > given_up then return 0 end
    return tonumber(redis.call('HGET', key, 'undecided') or 0)
end
local wait, open = 0, 1
for _, key in ipairs(KEYS) do
    local left = tonumber(redis.call('HGET', key, 'until') or 0) - now
    if left > 0 then
        wait = math.max(wait, left)
        if undecided(key) <= 0 then open = 0 end
    end
end
if wait > 0 then return {wait, open} end
for i, key in ipairs(KEYS) do
    local free, first = tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i])
    local longest, memory = tonumber(ARGV[4 * i + 1]), tonumber(ARGV[4 * i + 2])
    local others = undecided(key)
    local beyond = redis.call('HINCRBY', key, 'failures', 1) - free
    local delay = 0
    if beyond > 0 then delay = math.min(first * 2 ^ math.min(beyond - 1, 30), longest) end
    redis.call('HSET', key, 'until', string.format('%.0f', now + delay), 'undecided', others + 1,
        'taken', string.format('%.0f', now))
    redis.call('PEXPIRE', key, memory)
end
return {0, 0}
