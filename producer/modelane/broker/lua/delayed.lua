-- delayed: what waits for its time, soonest first; changes nothing.
--
-- KEYS[1]     leased; KEYS[1].<batch> is the list of a batch's messages
-- KEYS[2]     leases: sorted set, batch -> Redis time at which its messages return
-- ARGV[1]     show at most so many
-- ARGV[2]     bytes of a message; larger ones are not shown, since reading them costs everybody time
-- ARGV[3]     look at no more than so many leases
-- returns     {time, message, time, message, ...}

local shown = {}
local batches = redis.call('ZRANGE', KEYS[2], 0, ARGV[3] - 1, 'WITHSCORES')
for i = 1, #batches, 2 do
  if #shown >= 2 * ARGV[1] then break end
  local batch = batches[i]
  -- Kind D is a delay that somebody asked for, of one message; kind L a lease (reserve.lua).
  if string.sub(batch, 2, 2) == 'D' then
    local key = KEYS[1] .. '.' .. batch
    if (redis.call('MEMORY', 'USAGE', key) or 0) <= tonumber(ARGV[2]) then
      shown[#shown + 1] = batches[i + 1]
      shown[#shown + 1] = redis.call('LINDEX', key, 0)
    end
  end
end
return shown
