-- Append facts to a tenant's inbox, all or none, and note beside each when it came.
--
-- KEYS[1]  inbox   list of facts, oldest first
-- KEYS[2]  stamps  list as long as the inbox: time of acceptance (microseconds; 0: not known), and, after a semicolon,
--                  the trace the fact belongs to, if any
-- ARGV[1]  most facts an inbox may hold
-- ARGV[2]  trace, '' for none
-- ARGV[3…] facts
--
-- Releases that know of no stamps write to the inbox, too. Stamps that are not as many as the facts are begun anew, and
-- not before a long inbox has been worked off: filling them up would cost too much.
--
-- Returns the inbox's new length, or -1 where the facts do not fit (nothing is appended then).
local inbox, stamps = KEYS[1], KEYS[2]
local most = tonumber(ARGV[1])
local length = redis.call('LLEN', inbox)
if length + #ARGV - 2 > most then
    return -1
end
local stamped = redis.call('LLEN', stamps) == length
if not stamped then
    redis.call('DEL', stamps)
    stamped = length <= 1000
    for _ = 1, stamped and length or 0 do
        redis.call('RPUSH', stamps, '0')
    end
end
local time = redis.call('TIME')
local stamp = string.format('%.0f', time[1] * 1000000 + time[2])
if ARGV[2] ~= '' then
    stamp = stamp .. ';' .. ARGV[2]
end
for i = 3, #ARGV do
    redis.call('RPUSH', inbox, ARGV[i])
    if stamped then
        redis.call('RPUSH', stamps, stamp)
    end
end
return redis.call('LLEN', inbox)
