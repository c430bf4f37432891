-- Say how a delivery ended, and give the channel's lease back.
--
-- KEYS[1]  channel   hash: see peek_channel and claim_channel; failing_since, error, delivered, dropped
-- ARGV[1]  token of the lease
-- ARGV[2]  number of the last alert that has arrived, '' where nothing has
-- ARGV[3]  alerts that have arrived       ARGV[4]  alerts that were dropped before
-- ARGV[5]  how long to wait after a failure (microseconds)   ARGV[6]  why it failed
--
-- Returns 1, or 0 where the lease is another's by now.
local channel = KEYS[1]
local held = redis.call('HMGET', channel, 'token', 'sends', 'sends_to', 'sends_full')
if held[1] ~= ARGV[1] then
    return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local stamp = string.format('%.0f', now)
redis.call('HDEL', channel, 'token', 'until', 'lease', 'sends', 'sends_to', 'sends_full')
if ARGV[2] ~= '' then
    redis.call(
        'HSET', channel, 'least', held[2], 'cursor', ARGV[2], 'nth', held[3], 'more', held[4], 'sent_at', stamp
    )
    redis.call('HINCRBY', channel, 'delivered', ARGV[3])
    redis.call('HINCRBY', channel, 'dropped', ARGV[4])
    redis.call('HDEL', channel, 'attempts', 'retry_at', 'wait', 'failing_since', 'error')
else
    redis.call('HINCRBY', channel, 'attempts', 1)
    redis.call('HSETNX', channel, 'failing_since', stamp)
    redis.call('HSET', channel, 'retry_at', string.format('%.0f', now + ARGV[5]), 'wait', ARGV[5], 'error', ARGV[6])
end
return 1
