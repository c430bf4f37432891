-- Drop a dead letter.
--
-- KEYS[1]  dead    sorted set: message id -> when it died (milliseconds)
-- KEYS[2]  bodies  hash: message id -> message, of the dead
-- ARGV[1]  message id
--
-- Returns 1, or 0 where there is no such dead letter.
local listed = redis.call('ZREM', KEYS[1], ARGV[1])
local kept = redis.call('HDEL', KEYS[2], ARGV[1])
return math.max(listed, kept)
