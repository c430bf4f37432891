-- Read a tenant: its record, the oldest facts of its inbox, its counts, and its roster where that is small; of a large one
-- the entries of users that those facts are about.
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
-- What may be many travels as one text and the lengths of its parts: a client in Python reads a thousand replies more
-- slowly than the server finds them.
--
-- Returns {seconds, microseconds, version, document, roster size, missing, orphaned, gone, removed, inbox length,
-- lengths of the facts, facts, lengths of the roster as user, entry, … ('' where it knows none), the roster, stamps of
-- the facts as stamp, how many in a row, … (empty where they are not those of the facts), the pass that saved the record}.
local function joined(items)
    local lengths = {}
    for i = 1, #items do
        lengths[i] = #items[i]
    end
    return table.concat(lengths, ' '), table.concat(items)
end

-- The users of user facts, which are written as 'u[added, user, …]'.
local function users_of(facts)
    local users, seen = {}, {}
    for i = 1, #facts do
        -- A name without escapes is found in 0.2 µs; to parse the fact takes 1.0.
        local user = string.match(facts[i], '^u%[%l+,"([^"\\]*)"')
        if not user and string.byte(facts[i]) == 117 then
            local read, fact = pcall(cjson.decode, string.sub(facts[i], 2))
            user = read and type(fact) == 'table' and fact[2]
        end
        if type(user) == 'string' and not seen[user] then
            seen[user] = true
            users[#users + 1] = user
        end
    end
    return users
end

local time = redis.call('TIME')
local record = redis.call('HMGET', KEYS[1], 'version', 'document', 'by')
local version = record[1] or redis.call('GET', KEYS[9]) or '0'
local pending, last = redis.call('LLEN', KEYS[2]), tonumber(ARGV[1]) - 1
local facts = redis.call('LRANGE', KEYS[2], 0, last)
local size, roster = redis.call('HLEN', KEYS[3]), {}
if size <= tonumber(ARGV[2]) then
    roster = redis.call('HGETALL', KEYS[3])
else
    local users = users_of(facts)
    for from = 1, #users, 1000 do
        local till = math.min(from + 999, #users)
        local entries = redis.call('HMGET', KEYS[3], unpack(users, from, till))
        for i = from, till do
            if entries[i - from + 1] then
                roster[#roster + 1] = users[i]
                roster[#roster + 1] = entries[i - from + 1]
            end
        end
    end
end
local stamps = {}
if redis.call('LLEN', KEYS[8]) == pending then
    for _, stamp in ipairs(redis.call('LRANGE', KEYS[8], 0, last)) do
        if stamp == stamps[#stamps - 1] then
            stamps[#stamps] = stamps[#stamps] + 1
        else
            stamps[#stamps + 1] = stamp
            stamps[#stamps + 1] = 1
        end
    end
end
local fact_lengths, fact_texts = joined(facts)
local roster_lengths, roster_texts = joined(roster)
return {
    time[1], time[2], version, record[2] or '', size,
    redis.call('SCARD', KEYS[4]), redis.call('SCARD', KEYS[5]), redis.call('SCARD', KEYS[6]),
    redis.call('SCARD', KEYS[7]), pending,
    fact_lengths, fact_texts, roster_lengths, roster_texts, stamps, record[3] or '',
}
