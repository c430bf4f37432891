-- Read a tenant: its record, the oldest facts of its inbox, its counts, and its roster where that is small.
--
-- KEYS[1]  record    hash: version, by, document
-- KEYS[2]  inbox     list of facts, oldest first
-- KEYS[3]  roster    hash: user -> entry
-- KEYS[4]  missing   set of users    KEYS[5]  orphaned  set of users
-- KEYS[6]  gone      set of users    KEYS[7]  removed   set of users
-- KEYS[8]  stamps    list: when each fact of the inbox came (append.lua)
-- KEYS[9]  erased    string: the version of a tenant that was erased (erase.lua)
-- ARGV[1]  most facts to read        ARGV[2]  largest roster to read whole
--
-- Returns {seconds, microseconds, version, document, roster size, missing, orphaned, gone, removed, inbox length,
-- facts, roster as user, entry, … (empty where too large), stamps (empty where they are not those of the facts), the
-- pass that saved the record}.
local time = redis.call('TIME')
local record = redis.call('HMGET', KEYS[1], 'version', 'document', 'by')
local version = record[1] or redis.call('GET', KEYS[9]) or '0'
local size = redis.call('HLEN', KEYS[3])
local roster = {}
if size <= tonumber(ARGV[2]) then
    roster = redis.call('HGETALL', KEYS[3])
end
local pending, last = redis.call('LLEN', KEYS[2]), tonumber(ARGV[1]) - 1
local stamps = {}
if redis.call('LLEN', KEYS[8]) == pending then
    stamps = redis.call('LRANGE', KEYS[8], 0, last)
end
return {
    time[1], time[2], version, record[2] or '', size,
    redis.call('SCARD', KEYS[4]), redis.call('SCARD', KEYS[5]), redis.call('SCARD', KEYS[6]),
    redis.call('SCARD', KEYS[7]), pending,
    redis.call('LRANGE', KEYS[2], 0, last), roster, stamps, record[3] or '',
}
