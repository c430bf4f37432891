-- Every alert channel that somebody has asked about of late: those that are configured.
--
-- KEYS[1]  channels  sorted set: channel -> when it was last asked about (microseconds)
-- KEYS[2]  numbers   hash: see post_alerts
-- KEYS[3…5]  streams of alerts: info, warning, critical
-- KEYS[6…8]  sorted sets of erased alerts: info, warning, critical
-- ARGV[1]  prefix of the channels' hashes, in the same slot: see peek_channel and settle_channel
-- ARGV[2]  how far back that is (microseconds)
--
-- Returns for each {name, least severity, pending, when the first of those was posted or -1, delivered, dropped,
-- attempts, sent_at, retry_at, failing_since, error}; the last four are missing where they have not happened.
local channels, numbers = KEYS[1], KEYS[2]
local logs = { info = KEYS[3], warning = KEYS[4], critical = KEYS[5] }
local erased = { info = KEYS[6], warning = KEYS[7], critical = KEYS[8] }
local time = redis.call('TIME')
local since = string.format('%.0f', time[1] * 1000000 + time[2] - ARGV[2])
local reply = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', channels, since, '+inf')) do
    local state = redis.call(
        'HMGET', ARGV[1] .. name, 'least', 'cursor', 'nth', 'delivered', 'dropped', 'attempts',
        'sent_at', 'retry_at', 'failing_since', 'error'
    )
    local least = state[1]
    if least then
        local entry = redis.call('XRANGE', logs[least], string.format('%.0f-0', state[2] + 1), '+', 'COUNT', 1)[1]
        local pending, first_at = 0, -1
        if entry then
            local gone = redis.call('ZCOUNT', erased[least], '(' .. state[3], '+inf')
            pending = redis.call('HGET', numbers, least) - state[3] - gone
            first_at = tonumber(entry[2][2])
        end
        reply[#reply + 1] = {
            name, least, pending, first_at, tonumber(state[4] or '0'), tonumber(state[5] or '0'),
            tonumber(state[6] or '0'), state[7], state[8], state[9], state[10],
        }
    end
end
return reply
