-- The parked payment events that carry any of the given names.
--
-- KEYS[1]  parked   hash: event id -> fact
-- ARGV[1]  prefix of the sets of event ids by name, in the same slot
-- ARGV[2…] names
--
-- Returns event id, fact, …
local reply, seen = {}, {}
for i = 2, #ARGV do
    for _, id in ipairs(redis.call('SMEMBERS', ARGV[1] .. ARGV[i])) do
        local fact = not seen[id] and redis.call('HGET', KEYS[1], id)
        seen[id] = true
        if fact then
            reply[#reply + 1] = id
            reply[#reply + 1] = fact
        end
    end
end
return reply
