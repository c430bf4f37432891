-- End a loss of the state: everything known was looked at since.
--
-- KEYS[1]  mark  hash (vouch.lua)
-- ARGV[1]  lost_at of the loss that is over
--
-- Returns 1 it is over, 0 it is not: another was noticed since, or there is none.
if redis.call('HGET', KEYS[1], 'lost_at') ~= ARGV[1] then
    return 0
end
return redis.call('HDEL', KEYS[1], 'lost_at')
