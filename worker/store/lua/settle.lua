-- Save a pass and, if it was saved, end its wake-up by it, in one step: commit.lua and then finish.lua, which stand before
-- this as functions. Only where all of these keys are on one server.
--
-- KEYS     those of commit.lua, then those of finish.lua
-- ARGV[1]  how many keys commit.lua has    ARGV[2]  how many arguments; then its arguments, then those of finish.lua
--
-- Returns what commit.lua returns.
local keys, args = tonumber(ARGV[1]), tonumber(ARGV[2]) + 2

local function part(items, from, till)
    local found = {}
    for i = from, till do
        found[i - from + 1] = items[i]
    end
    return found
end

local saved = commit(part(KEYS, 1, keys), part(ARGV, 3, args))
if saved == 1 then
    finish(part(KEYS, keys + 1, #KEYS), part(ARGV, args + 1, #ARGV))
end
return saved
