-- Make tenants due: an earlier time wins over a later one, and a tenant that is being reconciled is due again after it.
--
-- KEYS[1]  due     sorted set: tenant -> when it is due (microseconds)
-- KEYS[2]  leases  sorted set: tenant -> when the lease of its wake-up ends
-- KEYS[3]  again   sorted set: tenant -> when a leased tenant is due after its present wake-up
-- KEYS[4]  bell    list with at most one element: wakes a scheduler that sleeps
-- ARGV[1]  how long from now the tenants are due (microseconds)
-- ARGV[2…] tenants
local due, leases, again, bell = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local time = redis.call('TIME')
local at = time[1] * 1000000 + time[2] + tonumber(ARGV[1])
local stamp = string.format('%.0f', at)
local head = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
local earlier = head[2] == nil or at < tonumber(head[2])
for i = 2, #ARGV do
    if redis.call('ZSCORE', leases, ARGV[i]) then
        redis.call('ZADD', again, 'LT', stamp, ARGV[i])
    else
        redis.call('ZADD', due, 'LT', stamp, ARGV[i])
    end
end
if earlier and redis.call('LLEN', bell) == 0 then
    redis.call('RPUSH', bell, '1')
end
return #ARGV - 1
