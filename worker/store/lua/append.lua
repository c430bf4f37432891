-- Append facts to the inboxes of tenants, of each tenant all or none, and note beside each when it came.
--
-- KEYS[1, 3, …]  inbox   list of facts, oldest first
-- KEYS[2, 4, …]  stamps  list as long as the inbox before it: time of acceptance (microseconds; 0: not known), and, after
--                        a semicolon, the trace the fact belongs to, if any
-- ARGV[1]   most facts an inbox may hold
-- ARGV[2]   trace, '' for none
-- ARGV[3…]  for each inbox: number of facts, then the facts
--
-- Releases that know of no stamps write to the inbox, too. Stamps that are not as many as the facts are begun anew, and
-- not before a long inbox has been worked off: filling them up would cost too much.
--
-- Returns for each inbox its new length, or -1 where the facts do not fit, or -2 where one of its keys is no list
-- (nothing is appended to it then). An inbox may be named more than once.
local call, unpack = redis.call, unpack
local most = tonumber(ARGV[1])
local time = call('TIME')
local stamp = string.format('%.0f', time[1] * 1000000 + time[2])
if ARGV[2] ~= '' then
    stamp = stamp .. ';' .. ARGV[2]
end
-- What Lua's stack is sure to have room for.
local chunk = 1000

-- Append `count` values beginning with `first`, in as few commands as may be; returns the list's length.
local function push(list, values, first, count)
    while count > chunk do
        call('RPUSH', list, unpack(values, first, first + chunk - 1))
        first, count = first + chunk, count - chunk
    end
    return call('RPUSH', list, unpack(values, first, first + count - 1))
end

-- A table that has a value so many times, or more often.
local function times(count, value, table)
    for i = #table + 1, count do
        table[i] = value
    end
    return table
end

local stamped = {}

local function append(inbox, stamps, first, count)
    local length = call('LLEN', inbox)
    if length + count > most then
        return -1
    end
    -- Stamps first: where that is no list, nothing has been appended.
    if push(stamps, times(count, stamp, stamped), 1, count) ~= length + count then
        call('DEL', stamps)
        if length <= 1000 then
            if length > 0 then
                push(stamps, times(length, '0', {}), 1, length)
            end
            push(stamps, stamped, 1, count)
        end
    end
    return push(inbox, ARGV, first, count)
end

local replies = {}
local at = 3
for i = 1, #KEYS, 2 do
    local count = tonumber(ARGV[at])
    local done, reply = pcall(append, KEYS[i], KEYS[i + 1], at + 1, count)
    if not done then
        local reason = type(reply) == 'table' and reply.err or tostring(reply)
        if not string.find(reason, 'WRONGTYPE', 1, true) then
            error(reply, 0)
        end
        reply = -2
    end
    replies[#replies + 1] = reply
    at = at + 1 + count
end
return replies
