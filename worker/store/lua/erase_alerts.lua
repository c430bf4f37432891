-- Erase alerts from a log, and remember which of its alerts they were: who counts what a channel was not told of leaves
-- them out.
--
-- KEYS[1]  log     stream: see post_alerts
-- KEYS[2]  erased  sorted set: which of the log's alerts were erased
-- ARGV[1]  most of those to remember, the latest   ARGV[2…]  ids of entries
local log, erased = KEYS[1], KEYS[2]
for i = 2, #ARGV do
    if redis.call('XDEL', log, ARGV[i]) == 1 then
        local nth = string.match(ARGV[i], '%d+$')
        redis.call('ZADD', erased, nth, nth)
    end
end
redis.call('ZREMRANGEBYRANK', erased, 0, -ARGV[1] - 1)
return redis.status_reply('OK')
