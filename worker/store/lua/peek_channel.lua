-- See what waits for a channel. One that is new starts with the latest news; one that hears of another severity than
-- before goes on where it stands.
--
-- KEYS[1]  channel   hash: least, cursor, nth (which of its log's alerts the cursor stands at), sent_at, retry_at, wait
--                    (of the retry), until, lease, more (its last message was full), …
-- KEYS[2]  numbers   hash: see post_alerts
-- KEYS[3]  log       stream of the channel's least severity: see post_alerts
-- KEYS[4]  critical  stream of critical alerts
-- KEYS[5]  erased    sorted set: which of the log's alerts were erased
-- KEYS[6]  channels  sorted set: channel -> when it was last asked about (microseconds, renewed once a minute)
-- ARGV[1]  name   ARGV[2]  least severity   ARGV[3]  how far back news go (microseconds)
-- ARGV[4]  for how long a channel is remembered that nobody asks about (microseconds)
--
-- Returns {now, cursor, pending, when the first of those was posted or -1, when the first critical one was or -1,
-- sent_at, retry_at, leased until, whether the last message was full}. An instant that lies further ahead than it can,
-- as after the clock was set back, is 0.
local channel, numbers, log, critical, erased, channels = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function whole(number)
    return string.format('%.0f', number)
end

-- An entry's id is the alert's number, a dash, and which of its log's alerts it is.
local function number_of(entry)
    return tonumber(string.match(entry[1], '^%d+'))
end

local function nth_of(entry)
    return tonumber(string.match(entry[1], '%d+$'))
end

local function first_after(stream, number)
    return redis.call('XRANGE', stream, whole(number + 1) .. '-0', '+', 'COUNT', 1)[1]
end

local function no_later_than(at, latest)
    at = tonumber(at or '0')
    return at <= latest and at or 0
end

local known = redis.call(
    'HMGET', channel, 'least', 'cursor', 'nth', 'sent_at', 'retry_at', 'wait', 'until', 'lease', 'more'
)
local last = redis.call('HMGET', numbers, 'info', ARGV[2])
local newest, newest_nth = tonumber(last[1] or '0'), tonumber(last[2] or '0')
local cursor, nth = tonumber(known[2] or '0'), tonumber(known[3] or '0')
if not known[1] then
    cursor = newest
    for _, entry in ipairs(redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1000)) do
        if tonumber(entry[2][2]) < now - ARGV[3] then
            break
        end
        cursor = number_of(entry) - 1
    end
end
local entry = newest > cursor and first_after(log, cursor)
if known[1] ~= ARGV[2] then
    nth = entry and nth_of(entry) - 1 or newest_nth
    redis.call('HSET', channel, 'least', ARGV[2], 'cursor', whole(cursor), 'nth', whole(nth))
end
local seen = redis.call('ZSCORE', channels, ARGV[1])
if not seen or now > seen + 60000000 or not known[1] then
    redis.call('ZADD', channels, whole(now), ARGV[1])
    redis.call('PEXPIRE', channel, whole(ARGV[4] / 1000))
    redis.call('ZREMRANGEBYSCORE', channels, '-inf', whole(now - ARGV[4]))
end
local pending, first_at, critical_at = 0, -1, -1
if entry then
    pending = newest_nth - nth - redis.call('ZCOUNT', erased, '(' .. whole(nth), '+inf')
    first_at = no_later_than(entry[2][2], now)
    local worst = first_after(critical, cursor)
    if worst then
        critical_at = no_later_than(worst[2][2], now)
    end
end
return {
    now, cursor, pending, first_at, critical_at, no_later_than(known[4], now),
    no_later_than(known[5], now + (known[6] or 0)), no_later_than(known[7], now + (known[8] or 0)),
    tonumber(known[9] or '0'),
}
