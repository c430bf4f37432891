-- Lease tenants that are due to the caller, who wakes them. A lease that has ended makes its tenant due at once.
--
-- KEYS[1]  due      sorted set: tenant -> when it is due (microseconds)
-- KEYS[2]  leases   sorted set: tenant -> when the lease of its wake-up ends
-- KEYS[3]  again    sorted set: tenant -> when a leased tenant is due after its present wake-up
-- KEYS[4]  waiting  sorted set: tenant -> since when it has been waiting for a reconcile to finish
-- KEYS[5]  tokens   hash: tenant -> token of its present lease
-- KEYS[6]  serial   counter the tokens are taken from
-- ARGV[1]  most tenants to lease
-- ARGV[2]  length of a lease (microseconds)
-- ARGV[3]  what the tokens of this counter end with, unlike those of any other
--
-- Returns {microseconds until the next tenant is due or -1, tenant, token, tenant, token, …}.
local due, leases, again, waiting, tokens, serial = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local stamp = string.format('%.0f', now)
local until_ = string.format('%.0f', now + tonumber(ARGV[2]))

local ended = redis.call('ZRANGEBYSCORE', leases, '-inf', stamp, 'LIMIT', 0, ARGV[1])
for _, tenant in ipairs(ended) do
    redis.call('ZREM', leases, tenant)
    redis.call('ZREM', again, tenant)
    redis.call('HDEL', tokens, tenant)
    redis.call('ZADD', due, 'LT', stamp, tenant)
end

local reply = { -1 }
local ready = redis.call('ZRANGEBYSCORE', due, '-inf', stamp, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
for i = 1, #ready, 2 do
    local tenant, since = ready[i], ready[i + 1]
    local token = redis.call('INCR', serial) .. ARGV[3]
    redis.call('ZREM', due, tenant)
    redis.call('ZADD', leases, until_, tenant)
    redis.call('ZADD', waiting, 'NX', since, tenant)
    redis.call('HSET', tokens, tenant, token)
    reply[#reply + 1] = tenant
    reply[#reply + 1] = token
end

local next_ = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
local lease = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')[2]
if lease and (not next_ or tonumber(lease) < tonumber(next_)) then
    next_ = lease
end
if next_ then
    reply[1] = math.max(0, tonumber(next_) - now)
end
return reply
