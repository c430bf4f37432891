-- See what waits for a channel. One that is new starts with the latest news.
--
-- KEYS[1]  channel   hash: least, cursor, sent_at, retry_at, until, …
-- KEYS[2]  numbers   hash: see post_alerts
-- KEYS[3]  log       stream of the channel's least severity
-- KEYS[4]  channels  sorted set: channel -> when it was last asked about (microseconds, renewed once a minute)
-- ARGV[1]  name   ARGV[2]  least severity   ARGV[3]  how far back news go (microseconds)
-- ARGV[4]  for how long a channel is remembered that nobody asks about (microseconds)
--
-- Returns {now, cursor, pending, when the first of those was posted or -1, when the first critical one was or -1,
-- sent_at, retry_at, leased until}.
local channel, numbers, log, channels = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function number_of(entry)
    return tonumber(string.match(entry[1], '^%d+'))
end

local known = redis.call('HMGET', channel, 'least', 'cursor', 'sent_at', 'retry_at', 'until')
local last = redis.call('HMGET', numbers, ARGV[2], 'critical in ' .. ARGV[2])
local cursor, newest = tonumber(known[2] or '0'), tonumber(last[1] or '0')
if known[1] ~= ARGV[2] then
    cursor = newest
    for _, entry in ipairs(redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1000)) do
        if tonumber(entry[2][2]) < now - ARGV[3] then
            break
        end
        cursor = number_of(entry) - 1
    end
    redis.call('HSET', channel, 'least', ARGV[2], 'cursor', string.format('%.0f', cursor))
end
local seen = redis.call('ZSCORE', channels, ARGV[1])
if not seen or now > seen + 60000000 or known[1] ~= ARGV[2] then
    redis.call('ZADD', channels, string.format('%.0f', now), ARGV[1])
    redis.call('PEXPIRE', channel, string.format('%.0f', ARGV[4] / 1000))
    redis.call('ZREMRANGEBYSCORE', channels, '-inf', string.format('%.0f', now - ARGV[4]))
end

local function next_after(number, count)
    return redis.call('XRANGE', log, string.format('(%.0f-0', number), '+', 'COUNT', count)
end

local first_at, critical_at = -1, -1
local entry = newest > cursor and next_after(cursor, 1)[1]
if entry then
    first_at = tonumber(entry[2][2])
    if tonumber(last[2] or '0') > cursor then
        local at = cursor
        while critical_at < 0 do
            local entries = next_after(at, 200)
            if #entries == 0 then
                break
            end
            for _, one in ipairs(entries) do
                if one[2][4] == 'critical' then
                    critical_at = tonumber(one[2][2])
                    break
                end
            end
            at = number_of(entries[#entries])
        end
    end
end
return {
    now, cursor, newest - cursor, first_at, critical_at,
    tonumber(known[3] or '0'), tonumber(known[4] or '0'), tonumber(known[5] or '0'),
}
