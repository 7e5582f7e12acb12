-- An attempt has failed, which it counted as already. KEYS: counters. ARGV: the place of the one whose failures are
-- told to the owner, 0 for none; failures from which they are told.
-- Answer: the failures to tell, once for each time that the counter is remembered; else 0.
for _, key in ipairs(KEYS) do
    local undecided = tonumber(redis.call('HGET', key, 'undecided') or 0)
    if undecided > 0 then redis.call('HSET', key, 'undecided', undecided - 1) end
end
local told = KEYS[tonumber(ARGV[1])]
if not told then return 0 end
local failures = tonumber(redis.call('HGET', told, 'failures') or 0)
if failures >= tonumber(ARGV[2]) and redis.call('HSETNX', told, 'told', 1) == 1 then return failures end
return 0
