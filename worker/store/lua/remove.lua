-- Remove members from sorted sets and fields from hashes.
--
-- KEYS     sorted sets, then hashes     ARGV[1]  how many of the keys are sorted sets     ARGV[2…] members
local sets = tonumber(ARGV[1])
for i = 1, #KEYS do
    for j = 2, #ARGV do
        redis.call(i <= sets and 'ZREM' or 'HDEL', KEYS[i], ARGV[j])
    end
end
return 1
