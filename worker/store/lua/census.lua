-- How many members sorted sets have, and how old the first ones are.
--
-- KEYS[1…] sorted sets to count, then sorted sets of times: member -> since when (microseconds)
-- ARGV[1]  how many are to be counted
--
-- Returns their sizes, then how long ago the earliest time of each of the others was (microseconds, 0 where it is empty).
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local reply = {}
for i, key in ipairs(KEYS) do
    if i <= tonumber(ARGV[1]) then
        reply[i] = redis.call('ZCARD', key)
    else
        local since = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
        reply[i] = math.max(0, now - tonumber(since or now))
    end
end
return reply
