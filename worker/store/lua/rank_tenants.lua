-- How many tenants of a list come before places in it, whether there is a tenant at the place or not.
--
-- KEYS[1]  order  sorted set of the tenants
-- ARGV[1]  '1' for the highest score first and, of tenants with the same score, the id first whose bytes come last;
--          '0' for a list by ids alone, where all scores are the same
-- ARGV[2]  what ids begin with ('' for anything); only in a list by ids
-- ARGV[3…] score, tenant, …: the places
--
-- Returns how many come before each of them.
local order = KEYS[1]

-- Lua compares strings by the server's locale, sorted sets by their bytes.
local function less(a, b)
    for i = 1, math.min(#a, #b) do
        local x, y = string.byte(a, i), string.byte(b, i)
        if x ~= y then
            return x < y
        end
    end
    return #a < #b
end

local function before_place(score, tenant)
    local from = redis.call('ZCOUNT', order, '(' .. score, '+inf')
    local till = redis.call('ZCOUNT', order, score, '+inf')
    while from < till do
        local middle = math.floor((from + till) / 2)
        if less(tenant, redis.call('ZREVRANGE', order, middle, middle)[1]) then
            from = middle + 1
        else
            till = middle
        end
    end
    return from
end

local reply = {}
local first = ARGV[2] ~= '' and redis.call('ZLEXCOUNT', order, '-', '(' .. ARGV[2]) or 0
for i = 3, #ARGV, 2 do
    if ARGV[1] == '1' then
        reply[#reply + 1] = before_place(ARGV[i], ARGV[i + 1])
    else
        reply[#reply + 1] = redis.call('ZLEXCOUNT', order, '-', '(' .. ARGV[i + 1]) - first
    end
end
return reply
