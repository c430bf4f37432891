-- Remove members from sorted sets and fields from hashes, for whoever has a tenant's lease.
--
-- KEYS[1]  tokens  hash: tenant -> token of its present lease     KEYS[2…] sorted sets, then hashes
-- ARGV[1]  tenant  ARGV[2]  token ('' where nobody may have the lease)
-- ARGV[3]  how many of the keys are sorted sets     ARGV[4…] members
--
-- Returns 1, or 0 where the lease is someone else's by now, or over: nothing is removed then.
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then
    return 0
end
local sets = tonumber(ARGV[3])
for i = 2, #KEYS do
    for j = 4, #ARGV do
        redis.call(i - 1 <= sets and 'ZREM' or 'HDEL', KEYS[i], ARGV[j])
    end
end
return 1
