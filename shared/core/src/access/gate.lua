-- One round trip for every request: count its limits, then read what is known of its caller.
-- KEYS: one a limit, then (for a caller) blacklist, session, user.
-- ARGV: number of limits, now in ms, then burst and interval in ms of each, then nonce and ms of a lease.
-- Limits are GCRA as in plinth_domain::gcra; the first that refuses ends the counting.
-- A copy that is absent is leased to the caller (see core::hot) and answered as the empty text.
local limits = tonumber(ARGV[1])
local now = tonumber(ARGV[2])
local held = redis.call('MGET', unpack(KEYS))
local verdicts = {}
for i = 1, limits do
    local burst = tonumber(ARGV[2 * i + 1])
    local interval = tonumber(ARGV[2 * i + 2])
    local tat = math.max(tonumber(held[i] or now), now)
    local following = tat + interval
    local earliest = following - burst * interval
    if earliest > now then
        verdicts[i] = { 0, 0, earliest - now, tat - now }
        return { verdicts, 0, false, false }
    end
    redis.call('SET', KEYS[i], following, 'PX', following - now)
    verdicts[i] = { 1, math.floor((now - earliest) / interval), 0, following - now }
end
if #KEYS == limits then return { verdicts, 0, false, false } end
for i = limits + 2, limits + 3 do
    if not held[i] then
        redis.call('SET', KEYS[i], '~' .. ARGV[2 * limits + 3], 'PX', ARGV[2 * limits + 4])
        held[i] = ''
    end
end
return { verdicts, held[limits + 1] and 1 or 0, held[limits + 2], held[limits + 3] }
