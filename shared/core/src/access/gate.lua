-- Counts a request against its limits, then reads what is known of its caller, in one round trip.
-- KEYS: one a limit, then (for a caller) blacklist, credential, account, roles.
-- ARGV: number of limits, now in ms, then burst and interval in ms of each, then nonce and ms of a lease.
-- Answer: ms to wait and ms until whole of the limit that refuses, else 0 and 0; whether the token is blacklisted; the
-- copies of credential, account and roles; and of each limit: requests paid for, requests that remain, ms until whole.
-- Limits are GCRA as in plinth_domain::gcra; the first that refuses ends the counting. A sixteenth of what is left, at
-- most 64, is paid for at once: the caller spends it without asking again.
-- A copy that is absent is leased to the caller (see core::hot) and answered as the empty text.
local limits = tonumber(ARGV[1])
local now = tonumber(ARGV[2])
local held = redis.call('MGET', unpack(KEYS))
local paid = {}
for i = 1, limits do
    local burst = tonumber(ARGV[2 * i + 1])
    local interval = tonumber(ARGV[2 * i + 2])
    local tat = math.max(tonumber(held[i] or now), now)
    local left = math.floor((now + burst * interval - tat) / interval)
    if left < 1 then return { tat + interval - burst * interval - now, tat - now, 0, false, false, false, paid } end
    local requests = math.max(1, math.min(64, math.floor(left / 16)))
    local following = tat + requests * interval
    redis.call('SET', KEYS[i], following, 'PX', following - now)
    paid[3 * i - 2], paid[3 * i - 1], paid[3 * i] = requests, left - requests, following - now
end
if #KEYS == limits then return { 0, 0, 0, false, false, false, paid } end
for i = limits + 2, limits + 4 do
    if not held[i] then
        redis.call('SET', KEYS[i], '~' .. ARGV[2 * limits + 3], 'PX', ARGV[2 * limits + 4])
        held[i] = ''
    end
end
return { 0, 0, held[limits + 1] and 1 or 0, held[limits + 2], held[limits + 3], held[limits + 4], paid }
