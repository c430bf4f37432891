-- Open upgrades that have been in their state for too long.
--
-- KEYS[1]  owners   hash: upgrade -> tenant
-- KEYS[2]  states   hash: upgrade -> state
-- KEYS[3]  moved    prefix of the sorted sets, one for each state: open upgrade -> since when it is in that state
-- ARGV[1]  most upgrades of each state
-- ARGV[2…] state, how long one may be in it (microseconds), …
--
-- Returns {how many there are in all, upgrade, tenant, state, since, …}, longest first within each state.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local total, rows = 0, {}
for i = 2, #ARGV, 2 do
    local state, key = ARGV[i], KEYS[3] .. ARGV[i]
    local before = string.format('(%.0f', now - tonumber(ARGV[i + 1]))
    total = total + redis.call('ZCOUNT', key, '-inf', before)
    local found = redis.call('ZRANGEBYSCORE', key, '-inf', before, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
    for at = 1, #found, 2 do
        local owner = redis.call('HGET', KEYS[1], found[at])
        if redis.call('HGET', KEYS[2], found[at]) ~= state then
            -- A release that keeps no times has moved it on.
            redis.call('ZREM', key, found[at])
            total = total - 1
        elseif owner then
            rows[#rows + 1] = found[at]
            rows[#rows + 1] = owner
            rows[#rows + 1] = state
            rows[#rows + 1] = found[at + 1]
        end
    end
end
return { total, unpack(rows) }
