-- Append facts to a tenant's inbox, all or none.
--
-- KEYS[1]  inbox   list of facts, oldest first
-- ARGV[1]  most facts an inbox may hold
-- ARGV[2…] facts
--
-- Returns the inbox's new length, or -1 where the facts do not fit (nothing is appended then).
local inbox = KEYS[1]
local most = tonumber(ARGV[1])
if redis.call('LLEN', inbox) + #ARGV - 1 > most then
    return -1
end
for i = 2, #ARGV do
    redis.call('RPUSH', inbox, ARGV[i])
end
return redis.call('LLEN', inbox)
