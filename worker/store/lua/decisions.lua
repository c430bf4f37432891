-- The decisions among the newest notes of a journal: a chart needs no others, and they may be long.
--
-- KEYS[1]  journal   stream of notes
-- ARGV[1]  most notes to read
--
-- Returns the notes, newest first.
local found = {}
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[1])) do
    -- Every note begins with its time and kind.
    if string.find(string.sub(entry[2][2], 1, 80), '"kind":"decision"', 1, true) then
        found[#found + 1] = entry[2][2]
    end
end
return found
