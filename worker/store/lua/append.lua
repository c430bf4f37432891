-- Append facts to a tenant's inbox, all or none. Before each stands the time of its acceptance (microseconds), and,
-- after a semicolon, the trace it belongs to, if any.
--
-- KEYS[1]  inbox   list of facts, oldest first
-- ARGV[1]  most facts an inbox may hold
-- ARGV[2]  trace, '' for none
-- ARGV[3…] facts
--
-- Returns the inbox's new length, or -1 where the facts do not fit (nothing is appended then).
local inbox = KEYS[1]
local most = tonumber(ARGV[1])
if redis.call('LLEN', inbox) + #ARGV - 2 > most then
    return -1
end
local time = redis.call('TIME')
local stamp = string.format('%.0f', time[1] * 1000000 + time[2])
if ARGV[2] ~= '' then
    stamp = stamp .. ';' .. ARGV[2]
end
for i = 3, #ARGV do
    redis.call('RPUSH', inbox, stamp .. ' ' .. ARGV[i])
end
return redis.call('LLEN', inbox)
