-- Say which state this is, and whether it is the one that the caller remembers. Makes the mark where there is none.
--
-- KEYS[1]  mark  hash: identity, made_at, seen_at (when somebody looked, to within ten seconds), lost_at (when a loss was
--                noticed; gone once everything was swept after it), replaces (identities that came before, newest last)
-- ARGV[1]  identity the caller remembers, '' for none     ARGV[2]  the latest seen_at the caller remembers
-- ARGV[3]  an identity nobody has used                    ARGV[4]  by how much seen_at may go back
--
-- Another identity than the remembered one: that state was lost. The same one, last seen long before the caller saw it:
-- it is an earlier copy of it. Either is noted once, however many remember; a copy gets an identity of its own.
--
-- Returns {identity, made_at, seen_at, lost_at ('' for none), now}.
local mark, known = KEYS[1], ARGV[1]
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local identity, made_at, seen_at, replaces =
    unpack(redis.call('HMGET', mark, 'identity', 'made_at', 'seen_at', 'replaces'))
if not identity then
    identity, made_at, seen_at = ARGV[3], now, now
    redis.call('HSET', mark, 'identity', identity, 'made_at', made_at, 'seen_at', seen_at)
end
local is_copy = known == identity and tonumber(seen_at) + tonumber(ARGV[4]) < tonumber(ARGV[2])
if is_copy or (known ~= '' and known ~= identity and not string.find(replaces or '', known, 1, true)) then
    if is_copy then
        identity, made_at = ARGV[3], now
    end
    -- Twenty are kept: whoever still remembers an earlier one reports a loss once too often, not too seldom.
    replaces = string.sub((replaces or '') .. ' ' .. known, -20 * (#known + 1))
    redis.call('HSET', mark, 'identity', identity, 'made_at', made_at, 'replaces', replaces)
    redis.call('HSETNX', mark, 'lost_at', now)
end
if tonumber(seen_at) + 10000000 <= tonumber(now) then
    seen_at = now
    redis.call('HSET', mark, 'seen_at', seen_at)
end
return { identity, made_at, seen_at, redis.call('HGET', mark, 'lost_at') or '', now }
