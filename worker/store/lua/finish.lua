-- A tenant has been reconciled: give its lease back, say when it is due next, and list it where people look for it.
--
-- KEYS[1]  due        sorted set: tenant -> when it is due (microseconds)
-- KEYS[2]  leases     sorted set: tenant -> when the lease of its wake-up ends
-- KEYS[3]  again      sorted set: tenant -> when a leased tenant is due after its present wake-up
-- KEYS[4]  waiting    sorted set: tenant -> since when it has been waiting for a reconcile to finish
-- KEYS[5]  tokens     hash: tenant -> token of its present lease
-- KEYS[6]  bell       list with at most one element: wakes a scheduler that sleeps
-- KEYS[7]  tenants    sorted set, all scores 0: every tenant known
-- KEYS[8]  statuses   hash: tenant -> status
-- KEYS[9]  upgrades   sorted set: upgrade -> when it was created
-- KEYS[10] owners     hash: upgrade -> tenant
-- KEYS[11] states     hash: upgrade -> state
-- KEYS[12] fullness   sorted set: tenant -> percent of its seats that are taken (-1: not known); beside it one for each
--                     status, with ':' and the status after the name
-- KEYS[13] since      sorted set: tenant -> when its status last changed (microseconds); beside it one for each status
-- KEYS[14] moved      prefix of the sorted sets, one for each state: open upgrade -> since when it is in that state
-- ARGV[1]  tenant  ARGV[2]  token ('' for none)  ARGV[3]  next look  ARGV[4]  status
-- ARGV[5]  prefix of the sorted sets of tenants by status, in the same slot
-- ARGV[6]  prefix of the sorted sets of upgrades by state, in the same slot
-- ARGV[7]  fullness
-- ARGV[8…] upgrade, state, created, …
--
-- Returns 1 where the lease was the caller's, 0 otherwise (the tenant then stays due for whoever holds it now).
local due, leases, again, waiting, tokens, bell = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local tenant, token, next_, status = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local fullness, since, moved = KEYS[12], KEYS[13], KEYS[14]
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local closed = { confirmed = true, expired = true, failed = true, cancelled = true }

local holder = redis.call('HGET', tokens, tenant)
if token ~= '' and holder ~= token and (holder or redis.call('HEXISTS', KEYS[8], tenant) == 0) then
    -- Somebody else is at it and lists it when done, or it has been erased and is to be listed no more.
    if holder then
        redis.call('ZADD', again, 'LT', next_, tenant)
    end
    return 0
end

redis.call('ZADD', KEYS[7], 0, tenant)
local old = redis.call('HGET', KEYS[8], tenant)
if old ~= status then
    if old then
        redis.call('ZREM', ARGV[5] .. old, tenant)
        redis.call('ZREM', fullness .. ':' .. old, tenant)
        redis.call('ZREM', since .. ':' .. old, tenant)
        redis.call('ZREM', since, tenant)
    end
    redis.call('HSET', KEYS[8], tenant, status)
    redis.call('ZADD', ARGV[5] .. status, 0, tenant)
end
-- Also where nothing has changed: a release that keeps no times may have listed it.
redis.call('ZADD', since, 'NX', now, tenant)
redis.call('ZADD', since .. ':' .. status, 'NX', now, tenant)
redis.call('ZADD', fullness, ARGV[7], tenant)
redis.call('ZADD', fullness .. ':' .. status, ARGV[7], tenant)
for i = 8, #ARGV, 3 do
    local upgrade, state, created = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local was = redis.call('HGET', KEYS[11], upgrade)
    if was ~= state then
        if was then
            redis.call('ZREM', ARGV[6] .. was, upgrade)
            redis.call('ZREM', moved .. was, upgrade)
        end
        redis.call('ZADD', KEYS[9], created, upgrade)
        redis.call('HSET', KEYS[10], upgrade, tenant)
        redis.call('HSET', KEYS[11], upgrade, state)
        redis.call('ZADD', ARGV[6] .. state, created, upgrade)
    end
    if not closed[state] then
        redis.call('ZADD', moved .. state, 'NX', now, upgrade)
    end
end

if holder and holder ~= token then
    redis.call('ZADD', again, 'LT', next_, tenant)
    return 0
end
local sooner = redis.call('ZSCORE', again, tenant)
redis.call('ZREM', again, tenant)
redis.call('ZREM', leases, tenant)
redis.call('ZREM', waiting, tenant)
redis.call('HDEL', tokens, tenant)
if sooner and tonumber(sooner) < tonumber(next_) then
    next_ = sooner
end
redis.call('ZADD', due, 'LT', next_, tenant)
local head = redis.call('ZRANGE', due, 0, 0)
if head[1] == tenant and redis.call('LLEN', bell) == 0 then
    redis.call('RPUSH', bell, '1')
end
return holder and 1 or 0
