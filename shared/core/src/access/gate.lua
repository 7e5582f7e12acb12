-- One round trip for every request: count its limits, then read what is known of its caller.
-- KEYS: one a limit, then (for a caller) blacklist, session, user.
-- ARGV: number of limits, then burst and interval in ms of each, then nonce and ms of a lease.
-- A copy that is absent is leased to the caller (see core::hot) and answered as the empty text.
-- Limits are GCRA as in plinth_domain::gcra; the first that refuses ends the counting.
local limits = tonumber(ARGV[1])
local verdicts = {}
if limits > 0 then
    local time = redis.call('TIME')
    local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
    for i = 1, limits do
        local burst = tonumber(ARGV[2 * i])
        local interval = tonumber(ARGV[2 * i + 1])
        local tat = math.max(tonumber(redis.call('GET', KEYS[i]) or now), now)
        local following = tat + interval
        local earliest = following - burst * interval
        if earliest > now then
            verdicts[i] = { 0, 0, earliest - now, tat - now }
            return { verdicts, 0, false, false }
        end
        redis.call('SET', KEYS[i], following, 'PX', following - now)
        verdicts[i] = { 1, math.floor((now - earliest) / interval), 0, following - now }
    end
end
if #KEYS == limits then return { verdicts, 0, false, false } end
local found = redis.call('MGET', KEYS[limits + 1], KEYS[limits + 2], KEYS[limits + 3])
for i = 2, 3 do
    if not found[i] then
        redis.call('SET', KEYS[limits + i], '~' .. ARGV[2 * limits + 2], 'PX', ARGV[2 * limits + 3])
        found[i] = ''
    end
end
return { verdicts, found[1] and 1 or 0, found[2], found[3] }
