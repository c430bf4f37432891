-- Make tenants due that are listed and that nobody would look at any more, as after their due time was lost.
--
-- KEYS[1]  tenants  sorted set, all scores 0: every tenant known
-- KEYS[2]  due      sorted set: tenant -> when it is due (microseconds)
-- KEYS[3]  leases   sorted set: tenant -> when the lease of its wake-up ends
-- ARGV[1]  where to begin: '-', or '(' and a tenant     ARGV[2]  where to end: '+', or '[' and a tenant
-- ARGV[3]  most tenants to look through
--
-- Returns {how many were made due, how many were looked through, the last of them}.
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local names = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local found = 0
for _, tenant in ipairs(names) do
    if not redis.call('ZSCORE', KEYS[2], tenant) and not redis.call('ZSCORE', KEYS[3], tenant) then
        redis.call('ZADD', KEYS[2], now, tenant)
        found = found + 1
    end
end
return { found, #names, names[#names] or '' }
