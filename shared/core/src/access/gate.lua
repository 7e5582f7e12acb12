-- One round trip for every request: count its limits, then read what is known of its caller.
-- KEYS: one a limit, then (for a caller) blacklist, session, user.
-- ARGV: number of limits, now in ms, then burst and interval in ms of each, then nonce and ms of a lease.
-- Answer: number of the limit that refuses, or is nearest to it; whether it allows; how many remain; ms to wait; ms
-- until it is whole; whether the token is blacklisted; the copies of session and user.
-- Limits are GCRA as in plinth_domain::gcra; the first that refuses ends the counting.
-- A copy that is absent is leased to the caller (see core::hot) and answered as the empty text.
local limits = tonumber(ARGV[1])
local now = tonumber(ARGV[2])
local held = redis.call('MGET', unpack(KEYS))
local tightest, least, whole = 0, 0, 0
for i = 1, limits do
    local burst = tonumber(ARGV[2 * i + 1])
    local interval = tonumber(ARGV[2 * i + 2])
    local tat = math.max(tonumber(held[i] or now), now)
    local following = tat + interval
    local earliest = following - burst * interval
    if earliest > now then return { i, 0, 0, earliest - now, tat - now, 0, false, false } end
    redis.call('SET', KEYS[i], following, 'PX', following - now)
    local remaining = math.floor((now - earliest) / interval)
    if tightest == 0 or remaining < least then tightest, least, whole = i, remaining, following - now end
end
if #KEYS == limits then return { tightest, 1, least, 0, whole, 0, false, false } end
for i = limits + 2, limits + 3 do
    if not held[i] then
        redis.call('SET', KEYS[i], '~' .. ARGV[2 * limits + 3], 'PX', ARGV[2 * limits + 4])
        held[i] = ''
    end
end
return { tightest, 1, least, 0, whole, held[limits + 1] and 1 or 0, held[limits + 2], held[limits + 3] }
