-- A page of tenants, by place in a sorted set, with what a list shows of each.
--
-- KEYS[1]  order      sorted set of the tenants to list
-- KEYS[2]  statuses   hash: tenant -> status
-- KEYS[3]  since      sorted set: tenant -> when its status last changed
-- ARGV[1]  '1' for the highest score first
-- ARGV[2]  what ids begin with ('' for anything); only where all scores are the same
-- ARGV[3]  tenants to pass over    ARGV[4]  tenants to list
-- ARGV[5]  '1' to give the score of each, too
--
-- Returns {how many there are in all, tenant, status, since, …}, or {…, tenant, status, since, score, …}.
local order, prefix = KEYS[1], ARGV[2]
local first, total = 0, nil
if prefix == '' then
    total = redis.call('ZCARD', order)
else
    -- No UTF-8 text holds the byte 255, so it ends what begins with the prefix.
    first = redis.call('ZLEXCOUNT', order, '-', '(' .. prefix)
    total = redis.call('ZLEXCOUNT', order, '[' .. prefix, '(' .. prefix .. '\255')
end
local from = tonumber(ARGV[3])
local till = math.min(from + tonumber(ARGV[4]), total) - 1
local reply = { total }
if from <= till then
    local names = redis.call(ARGV[1] == '1' and 'ZREVRANGE' or 'ZRANGE', order, first + from, first + till)
    local statuses = redis.call('HMGET', KEYS[2], unpack(names))
    local since = redis.call('ZMSCORE', KEYS[3], unpack(names))
    local scores = ARGV[5] == '1' and redis.call('ZMSCORE', order, unpack(names))
    for i, name in ipairs(names) do
        reply[#reply + 1] = name
        reply[#reply + 1] = statuses[i] or ''
        reply[#reply + 1] = since[i] or '0'
        if scores then
            reply[#reply + 1] = scores[i]
        end
    end
end
return reply
