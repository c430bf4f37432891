-- Write down why a message died, if it still is a dead letter.
--
-- KEYS[1]  bodies  hash: message id -> message, of the dead
-- ARGV[1]  message id   ARGV[2]  the message with its reason
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
return 1
