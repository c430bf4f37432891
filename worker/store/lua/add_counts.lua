-- Add what a process has counted to the sums, once.
--
-- KEYS[1]  counts   hash: name -> sum
-- KEYS[2]  source   string: serial of the last counts this process has handed over
-- ARGV[1]  serial   ARGV[2]  seconds to remember the process   ARGV[3]  most sums to keep
-- ARGV[4…] name, number to add, …
--
-- Returns 1, or 0 where these counts were added before, and their reply was lost.
if tonumber(redis.call('GET', KEYS[2]) or '0') >= tonumber(ARGV[1]) then
    return 0
end
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
local room = tonumber(ARGV[3]) - redis.call('HLEN', KEYS[1])
for i = 4, #ARGV, 2 do
    if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
        redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
    elseif room > 0 then
        redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
        room = room - 1
    end
end
return 1
