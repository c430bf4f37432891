-- Lease a channel to whoever sends what waits for it.
--
-- KEYS[1]  channel   hash: see peek_channel; with the lease: token, until, lease, and of what is being sent the least
--                    severity (sends), which of its log's alerts the last one is (sends_to) and whether there is more
--                    than one message takes (sends_full)
-- KEYS[2]  numbers   hash: see post_alerts; 'tokens' counts the leases
-- KEYS[3…5]  streams of alerts: info, warning, critical
-- KEYS[6…8]  sorted sets of erased alerts: info, warning, critical
-- ARGV[1]  cursor the channel is to stand at   ARGV[2]  length of the lease (microseconds)
-- ARGV[3]  most alerts to send
--
-- Returns {} where there is nothing for this caller to send, else {token, number of the last alert, dropped, attempts,
-- alert, alert, …}.
local channel, numbers = KEYS[1], KEYS[2]
local logs = { info = KEYS[3], warning = KEYS[4], critical = KEYS[5] }
local erased = { info = KEYS[6], warning = KEYS[7], critical = KEYS[8] }
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- What lies further ahead than it can was written before the clock was set back.
local function ahead(at, longest)
    at = tonumber(at or '0')
    return at > now and at <= now + (longest or 0)
end

local known = redis.call(
    'HMGET', channel, 'least', 'cursor', 'nth', 'attempts', 'retry_at', 'wait', 'until', 'lease'
)
local least, cursor, nth = known[1], known[2], tonumber(known[3] or '0')
if cursor ~= ARGV[1] or ahead(known[5], known[6]) or ahead(known[7], known[8]) then
    return {}
end
local entries = redis.call('XRANGE', logs[least], string.format('%.0f-0', cursor + 1), '+', 'COUNT', ARGV[3] + 1)
local full = #entries > tonumber(ARGV[3])
if full then
    entries[#entries] = nil
end
if #entries == 0 then
    return {}
end
local upto, upto_nth = string.match(entries[#entries][1], '^(%d+)-(%d+)$')
local gone = redis.call('ZCOUNT', erased[least], string.format('(%.0f', nth), upto_nth)
local dropped = upto_nth - nth - #entries - gone
local token = string.format('%.0f', redis.call('HINCRBY', numbers, 'tokens', 1))
redis.call(
    'HSET', channel, 'token', token, 'until', string.format('%.0f', now + ARGV[2]), 'lease', ARGV[2],
    'sends', least, 'sends_to', upto_nth, 'sends_full', full and '1' or '0'
)
local reply = { token, tonumber(upto), dropped, tonumber(known[4] or '0') }
for i, entry in ipairs(entries) do
    reply[4 + i] = entry[2][6]
end
return reply
