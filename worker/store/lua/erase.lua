-- Erase all that is kept of a tenant, if nobody has saved anything since it was read, and no fact has come.
--
-- KEYS[1]  erased  string: the version of a tenant that was erased     KEYS[2]  record  hash: version, by, document
-- KEYS[3]  inbox   list of facts                                       KEYS[4…] its other keys
-- ARGV[1]  version that was read                   ARGV[2]  length of the inbox then
-- ARGV[3]  for how many seconds to remember that it was erased
--
-- What stays for that long is the version, turned negative. A pass that was under way finds another version than it has
-- read, whatever comes of the tenant meanwhile, and saves nothing. It has a key of its own: a release that knows nothing
-- of it would save a record that expires with it.
--
-- Returns 1, or 0 where someone has saved or a fact has come.
local known = redis.call('HGET', KEYS[2], 'version') or redis.call('GET', KEYS[1]) or '0'
if known ~= ARGV[1] or redis.call('LLEN', KEYS[3]) > tonumber(ARGV[2]) then
    return 0
end
for i = 2, #KEYS do
    redis.call('UNLINK', KEYS[i])
end
redis.call('SET', KEYS[1], string.format('%.0f', -math.abs(tonumber(known)) - 1), 'EX', ARGV[3])
return 1
