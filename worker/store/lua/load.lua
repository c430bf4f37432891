-- Read a tenant: its record, the oldest facts of its inbox, its counts, and its roster where that is small.
--
-- KEYS[1]  record    hash: version, by, document
-- KEYS[2]  inbox     list of facts, oldest first
-- KEYS[3]  roster    hash: user -> entry
-- KEYS[4]  missing   set of users    KEYS[5]  orphaned  set of users
-- KEYS[6]  gone      set of users    KEYS[7]  removed   set of users
-- ARGV[1]  most facts to read        ARGV[2]  largest roster to read whole
--
-- Returns {seconds, microseconds, version, document, roster size, missing, orphaned, gone, removed, inbox length,
-- facts, roster as user, entry, … (empty where too large)}.
local time = redis.call('TIME')
local record = redis.call('HMGET', KEYS[1], 'version', 'document')
local size = redis.call('HLEN', KEYS[3])
local roster = {}
if size <= tonumber(ARGV[2]) then
    roster = redis.call('HGETALL', KEYS[3])
end
return {
    time[1], time[2], record[1] or '0', record[2] or '', size,
    redis.call('SCARD', KEYS[4]), redis.call('SCARD', KEYS[5]), redis.call('SCARD', KEYS[6]),
    redis.call('SCARD', KEYS[7]), redis.call('LLEN', KEYS[2]),
    redis.call('LRANGE', KEYS[2], 0, tonumber(ARGV[1]) - 1), roster,
}
