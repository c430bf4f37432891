-- Read a tenant's record and counts, and nothing that grows with it.
--
-- KEYS[1]  record    hash: version, by, document
-- KEYS[2]  roster    hash: user -> entry
-- KEYS[3]  missing   set of users    KEYS[4]  orphaned  set of users
-- KEYS[5]  gone      set of users    KEYS[6]  removed   set of users
--
-- Returns {version, document, roster size, missing, orphaned, gone, removed}.
local record = redis.call('HMGET', KEYS[1], 'version', 'document')
return {
    record[1] or '0', record[2] or '', redis.call('HLEN', KEYS[2]),
    redis.call('SCARD', KEYS[3]), redis.call('SCARD', KEYS[4]),
    redis.call('SCARD', KEYS[5]), redis.call('SCARD', KEYS[6]),
}
