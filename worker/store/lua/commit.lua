-- Save what a reconcile pass made of a tenant, in one write, if nobody has saved anything since it was read.
--
-- KEYS[1]  record    hash: version, by, document
-- KEYS[2]  inbox     list of facts, oldest first
-- KEYS[3]  roster    hash: user -> entry
-- KEYS[4]  missing   set of users    KEYS[5]  orphaned  set of users
-- KEYS[6]  gone      set of users    KEYS[7]  removed   set of users
-- KEYS[8]  journal   stream of notes
-- KEYS[9]  unreadable  list of facts that could not be read, at most 1,000, for 30 days
-- KEYS[10] stamps    list: when each fact of the inbox came (append.lua)
-- KEYS[11] erased    string: the version of a tenant that was erased (erase.lua)
-- ARGV[1]  version that was read     ARGV[2]  name of this pass
-- ARGV[3]  facts folded in           ARGV[4]  1: refuse if newer facts have come
-- ARGV[5]  journal length            ARGV[6]  document
-- ARGV[7]  pass that saved the version that was read ('*': any)
-- ARGV[8]  SHA-1 of the facts folded in, joined by newlines ('': not looked at)
-- ARGV[9]  the changed users, one after the other: a byte (standing: 0 seated, 1 missing, 2 orphaned, 3 gone; and 4 if
--          Crovver lists it as removed), then user and entry ('' deletes), each after its length in four bytes
-- ARGV[10] number of facts to set aside, then those, then the notes
--
-- The version of a tenant that was erased is negative for a while: it goes on where it was.
--
-- A failover may bring back an older state, which then goes on differently: numbers of versions and of facts say nothing
-- about whether it is the state that was read. A script is not undone where a command in it fails, so that each key is
-- known to be of its kind before any is written.
--
-- Returns 1 saved (also where this very pass was saved before), 0 someone else saved, or these are not the facts that
-- were read, -1 newer facts have come.
local record, inbox, roster, journal = KEYS[1], KEYS[2], KEYS[3], KEYS[8]
local known = redis.call('HMGET', record, 'version', 'by')
local version = known[1] or redis.call('GET', KEYS[11]) or '0'
if version ~= ARGV[1] or (ARGV[7] ~= '*' and ARGV[7] ~= (known[2] or '')) then
    if known[2] ~= ARGV[2] then
        return 0
    end
    -- Saved before, and its reply was lost. Written once more, so that whoever asks whether it is on disk asks of this.
    redis.call('HSET', record, 'by', ARGV[2])
    return 1
end
local folded = tonumber(ARGV[3])
for _, list in ipairs({ inbox, KEYS[9], KEYS[10] }) do
    redis.call('LLEN', list)
end
local members = {}
for class = 1, 4 do
    members[class] = redis.call('SCARD', KEYS[class + 3])
end
redis.call('HLEN', roster)
redis.call('XLEN', journal)
if ARGV[8] ~= '' and folded > 0 then
    local facts = redis.call('LRANGE', inbox, 0, folded - 1)
    if redis.sha1hex(table.concat(facts, '\n')) ~= ARGV[8] then
        return 0
    end
end
if ARGV[4] == '1' and redis.call('LLEN', inbox) > folded then
    return -1
end
redis.call(
    'HSET', record, 'version', string.format('%.0f', math.abs(ARGV[1]) + 1), 'by', ARGV[2], 'document', ARGV[6]
)
if tonumber(ARGV[1]) < 0 then
    redis.call('DEL', KEYS[11])
end
if folded > 0 then
    if redis.call('LLEN', KEYS[10]) == redis.call('LLEN', inbox) then
        redis.call('LTRIM', KEYS[10], folded, -1)
    else
        redis.call('DEL', KEYS[10])
    end
    redis.call('LTRIM', inbox, folded, -1)
end
local notes = 11 + tonumber(ARGV[10])
for i = 11, notes - 1 do
    redis.call('RPUSH', KEYS[9], ARGV[i])
    redis.call('LTRIM', KEYS[9], -1000, -1)
    redis.call('EXPIRE', KEYS[9], 2592000)
end
for i = notes, #ARGV do
    redis.call('XADD', journal, 'MAXLEN', '~', ARGV[5], '*', 'note', ARGV[i])
end

-- A few commands for all users: one for each user and set took three times as long.
local function each(name, key, items)
    for from = 1, #items, 1000 do
        redis.call(name, key, unpack(items, from, math.min(from + 999, #items)))
    end
end

local changes, at = ARGV[9], 1
local set, deleted, joins, leaves = {}, {}, { {}, {}, {}, {} }, { {}, {}, {}, {} }
while at <= #changes do
    local marks, user, entry
    marks, user, entry, at = struct.unpack('>BI4c0I4c0', changes, at)
    if entry == '' then
        deleted[#deleted + 1] = user
    else
        set[#set + 1] = user
        set[#set + 1] = entry
    end
    local standing, removed = marks % 4, marks >= 4
    for class = 1, 4 do
        if entry ~= '' and (class == standing or class == 4 and removed) then
            joins[class][#joins[class] + 1] = user
        elseif members[class] > 0 then
            leaves[class][#leaves[class] + 1] = user
        end
    end
end
each('HSET', roster, set)
each('HDEL', roster, deleted)
for class = 1, 4 do
    each('SADD', KEYS[class + 3], joins[class])
    each('SREM', KEYS[class + 3], leaves[class])
end
return 1
