-- The fleet-wide call rate, as a generic cell rate: calls are spaced evenly, with a burst of one second's worth.
--
-- KEYS[1]  rate     string: when the next call would be due if calls came evenly (microseconds)
-- ARGV[1]  spacing between calls (microseconds)   ARGV[2]  how far ahead of that calls may run (microseconds)
--
-- Returns how long the caller has to wait before its call (microseconds); its place is taken either way.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local at = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now - tonumber(ARGV[2]))
-- A clock that was set back must not stop the fleet for longer than an hour.
at = math.min(at, now + 3600000000)
local next_ = at + tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%.0f', next_), 'PX', 3660000)
return math.max(0, math.ceil(at - now))
