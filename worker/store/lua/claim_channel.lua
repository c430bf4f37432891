-- Lease a channel to whoever sends what waits for it.
--
-- KEYS[1]  channel   hash: cursor, retry_at, token, until, attempts, …
-- KEYS[2]  numbers   hash: see post_alerts; 'tokens' counts the leases
-- KEYS[3…5]  streams of alerts: info, warning, critical
-- ARGV[1]  cursor the channel is to stand at   ARGV[2]  length of the lease (microseconds)
-- ARGV[3]  most alerts to send
--
-- Returns {} where there is nothing for this caller to send, else {token, number of the last alert, dropped, attempts,
-- alert, alert, …}.
local channel, numbers = KEYS[1], KEYS[2]
local logs = { info = KEYS[3], warning = KEYS[4], critical = KEYS[5] }
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local known = redis.call('HMGET', channel, 'cursor', 'retry_at', 'until', 'least', 'attempts')
if known[1] ~= ARGV[1] or tonumber(known[2] or '0') > now or tonumber(known[3] or '0') > now then
    return {}
end
local cursor, newest = tonumber(known[1]), tonumber(redis.call('HGET', numbers, known[4]) or '0')
if newest <= cursor then
    return {}
end
local entries = redis.call('XRANGE', logs[known[4]], string.format('(%.0f-0', cursor), '+', 'COUNT', ARGV[3])
local upto, dropped = newest, newest - cursor
if #entries > 0 then
    upto = tonumber(string.match(entries[#entries][1], '^%d+'))
    dropped = tonumber(string.match(entries[1][1], '^%d+')) - cursor - 1
end
local token = string.format('%.0f', redis.call('HINCRBY', numbers, 'tokens', 1))
redis.call('HSET', channel, 'token', token, 'until', string.format('%.0f', now + ARGV[2]))
local reply = { token, upto, dropped, tonumber(known[5] or '0') }
for i, entry in ipairs(entries) do
    reply[4 + i] = entry[2][6]
end
return reply
