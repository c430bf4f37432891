-- How much work waits.
--
-- KEYS[1]  due      sorted set: tenant -> when it is due (microseconds)
-- KEYS[2]  leases   sorted set: tenant -> when the lease of its wake-up ends
-- KEYS[3]  waiting  sorted set: tenant -> since when it has been waiting for a reconcile to finish
--
-- Returns {tenants due, tenants leased, how long the oldest has waited (microseconds)}.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local oldest = now
for _, key in ipairs({ KEYS[1], KEYS[3] }) do
    local since = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
    oldest = math.min(oldest, tonumber(since or now))
end
return {
    redis.call('ZCOUNT', KEYS[1], '-inf', string.format('%.0f', now)), redis.call('ZCARD', KEYS[2]), now - oldest,
}
