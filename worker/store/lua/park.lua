-- Park a payment event that matches nothing yet, under every name it might be asked for by.
--
-- KEYS[1]  parked   hash: event id -> fact
-- KEYS[2]  since    sorted set: event id -> when it was parked (microseconds)
-- ARGV[1]  most events to keep   ARGV[2]  event id   ARGV[3]  fact
-- ARGV[4]  prefix of the sets of event ids by name, in the same slot   ARGV[5]  seconds to keep
-- ARGV[6…] names (session id, references)
--
-- Returns 1 where the event is new here, 0 where it was parked already.
local time = redis.call('TIME')
local fresh = redis.call('HSETNX', KEYS[1], ARGV[2], ARGV[3])
redis.call('ZADD', KEYS[2], 'NX', string.format('%.0f', time[1] * 1000000 + time[2]), ARGV[2])
for i = 6, #ARGV do
    redis.call('SADD', ARGV[4] .. ARGV[i], ARGV[2])
    redis.call('EXPIRE', ARGV[4] .. ARGV[i], ARGV[5])
end
local cut = string.format('%.0f', (time[1] - ARGV[5]) * 1000000)
local old = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', cut, 'LIMIT', 0, 100)
local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[1])
if over > 0 then
    for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, math.min(over, 100) - 1)) do
        old[#old + 1] = id
    end
end
for _, id in ipairs(old) do
    redis.call('HDEL', KEYS[1], id)
    redis.call('ZREM', KEYS[2], id)
end
return fresh
