-- Prolong a lease, if it is still the caller's.
--
-- KEYS[1]  leases  sorted set: tenant -> when the lease of its wake-up ends
-- KEYS[2]  tokens  hash: tenant -> token of its present lease
-- ARGV[1]  tenant   ARGV[2]  token   ARGV[3]  length from now (microseconds)
--
-- Returns 1, or 0 where the lease is someone else's by now, or over.
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then
    return 0
end
local time = redis.call('TIME')
local ends = string.format('%.0f', time[1] * 1000000 + time[2] + tonumber(ARGV[3]))
redis.call('ZADD', KEYS[1], 'XX', ends, ARGV[1])
return 1
