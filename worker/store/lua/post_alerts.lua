-- Add alerts to the logs, those of a tenant in the order of their serials and each once; with them, where a version is
-- given, save the fleet's alert book.
--
-- KEYS[1]  posted    hash: tenant -> serial of its last alert in the logs
-- KEYS[2]  numbers   hash: severity -> how many alerts its log has been given; that of info numbers the alerts
-- KEYS[3]  info      stream: number-nth -> at (microseconds), severity, alert: alerts of this severity and above, by
--                    their numbers, which are the same in every log; nth counts those of this log
-- KEYS[4]  warning   likewise    KEYS[5]  critical  likewise
-- KEYS[6]  fleet     hash: version, serial, book
-- ARGV[1]  tenant, '' for the fleet   ARGV[2]  most alerts to keep in a log
-- ARGV[3]  version of the fleet's book that was read, '' to leave it alone   ARGV[4]  its serial   ARGV[5]  the book
-- ARGV[6…] serial, severity, alert, … in the order of the serials
--
-- Returns how many alerts were new, or -1 where someone else has saved the fleet's book.
local posted, numbers, fleet = KEYS[1], KEYS[2], KEYS[6]
local logs = { info = KEYS[3], warning = KEYS[4], critical = KEYS[5] }
local heard_by = { info = { 'info' }, warning = { 'info', 'warning' }, critical = { 'info', 'warning', 'critical' } }
if ARGV[3] ~= '' then
    if (redis.call('HGET', fleet, 'version') or '0') ~= ARGV[3] then
        return -1
    end
    redis.call('HSET', fleet, 'version', string.format('%.0f', ARGV[3] + 1), 'serial', ARGV[4], 'book', ARGV[5])
end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local last = tonumber(redis.call('HGET', posted, ARGV[1]) or '0')
local new = 0
for i = 6, #ARGV, 3 do
    local serial, severity, alert = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    if tonumber(serial) > last then
        last, new = tonumber(serial), new + 1
        local number
        for _, level in ipairs(heard_by[severity]) do
            local nth = string.format('%.0f', redis.call('HINCRBY', numbers, level, 1))
            number = number or nth
            local id = number .. '-' .. nth
            redis.call('XADD', logs[level], 'MAXLEN', ARGV[2], id, 'at', now, 'severity', severity, 'alert', alert)
        end
        redis.call('HSET', posted, ARGV[1], serial)
    end
end
return new
