-- Whether the owner is to be told of the failures. KEYS: counter. ARGV: failures from which he is told.
-- Answer: the failures, once for each time that the counter is remembered; else 0.
local failures = tonumber(redis.call('HGET', KEYS[1], 'failures') or 0)
if failures >= tonumber(ARGV[1]) and redis.call('HSETNX', KEYS[1], 'told', 1) == 1 then return failures end
return 0
