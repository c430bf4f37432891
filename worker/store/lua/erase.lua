-- Erase all that is kept of a tenant, if nobody has saved anything since it was read.
--
-- KEYS[1]  record  hash: version, by, document     KEYS[2…]  its other keys
-- ARGV[1]  version that was read                   ARGV[2]  for how many seconds to remember that it was erased
--
-- What stays for that long is the version, turned negative. A pass that was under way finds another version than it has
-- read, whatever comes of the tenant meanwhile, and saves nothing.
--
-- Returns 1, or 0 where someone has saved.
local known = redis.call('HGET', KEYS[1], 'version') or '0'
if known ~= ARGV[1] then
    return 0
end
for i = 1, #KEYS do
    redis.call('UNLINK', KEYS[i])
end
redis.call('HSET', KEYS[1], 'version', string.format('%.0f', -math.abs(tonumber(known)) - 1), 'by', '')
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
