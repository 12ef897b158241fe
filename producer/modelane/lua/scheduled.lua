-- scheduled: what waits for its time, soonest first; changes nothing.
--
-- KEYS[1]     leased: hash, tag -> message
-- KEYS[2]     leases: sorted set, tag -> Redis time at which the message returns
-- ARGV[1]     show at most so many
-- ARGV[2]     bytes of a message; larger ones are not shown, since reading them costs everybody time
-- ARGV[3]     look at no more than so many leases
-- returns     {time, message, time, message, ...}

local shown = {}
local tags = redis.call('ZRANGE', KEYS[2], 0, ARGV[3] - 1, 'WITHSCORES')
for i = 1, #tags, 2 do
  if #shown >= 2 * ARGV[1] then break end
  local tag = tags[i]
  -- Kind D is a delay that somebody asked for; kind L a lease (reserve.lua).
  if string.sub(tag, 2, 2) == 'D' and redis.call('HSTRLEN', KEYS[1], tag) <= tonumber(ARGV[2]) then
    local message = redis.call('HGET', KEYS[1], tag)
    if message then
      shown[#shown + 1] = tags[i + 1]
      shown[#shown + 1] = message
    end
  end
end
return shown
