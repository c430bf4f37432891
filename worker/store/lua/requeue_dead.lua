-- Put a dead letter back on its queue, as dramatiq enqueues a message.
--
-- KEYS[1]  dead      sorted set: message id -> when it died (milliseconds)
-- KEYS[2]  bodies    hash: message id -> message, of the dead
-- KEYS[3]  queue     list of message ids
-- KEYS[4]  messages  hash: message id -> message, of the queue
-- ARGV[1]  message id   ARGV[2]  the body as it was read   ARGV[3]  the body to enqueue
--
-- Returns 1, 0 where there is no such dead letter, or -1 where its body is another by now.
local body = redis.call('HGET', KEYS[2], ARGV[1])
if not body then
    return 0
end
if body ~= ARGV[2] then
    return -1
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[4], ARGV[1], ARGV[3])
redis.call('RPUSH', KEYS[3], ARGV[1])
return 1
