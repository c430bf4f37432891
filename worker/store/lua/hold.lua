-- Lease one tenant to the caller, due or not, unless somebody is at it.
--
-- KEYS[1]  due     sorted set: tenant -> when it is due (microseconds)
-- KEYS[2]  leases  sorted set: tenant -> when the lease of its wake-up ends
-- KEYS[3]  tokens  hash: tenant -> token of its present lease
-- KEYS[4]  serial  counter the tokens are taken from
-- ARGV[1]  tenant  ARGV[2]  length of the lease (microseconds)
-- ARGV[3]  what the tokens of this counter end with, unlike those of any other
--
-- Returns the token, or '' where the tenant is leased to somebody.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local ends = redis.call('ZSCORE', KEYS[2], ARGV[1])
if ends and tonumber(ends) > now then
    return ''
end
local token = redis.call('INCR', KEYS[4]) .. ARGV[3]
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], token)
return token
