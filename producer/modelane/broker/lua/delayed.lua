-- delayed: read the messages that are delayed, those due soonest first; read-only.
--
-- KEYS[1]     leased; KEYS[1].<batch>: list of a batch's messages
-- KEYS[2]     leases: sorted set, batch -> Redis time at which its messages return
-- ARGV[1]     maximum number of messages to return
-- ARGV[2]     maximum bytes of a message; larger ones are skipped, because reading them blocks Redis
-- ARGV[3]     maximum number of leases to search
-- returns     {due time, message, due time, message, ...}

local shown = {}
local batches = redis.call('ZRANGE', KEYS[2], 0, ARGV[3] - 1, 'WITHSCORES')
for i = 1, #batches, 2 do
  if #shown >= 2 * ARGV[1] then break end
  local batch = batches[i]
  -- Kind D is a requested delay of one message, kind L a lease: see reserve.lua.
  if string.sub(batch, 2, 2) == 'D' then
    local key = KEYS[1] .. '.' .. batch
    if (redis.call('MEMORY', 'USAGE', key) or 0) <= tonumber(ARGV[2]) then
      shown[#shown + 1] = batches[i + 1]
      shown[#shown + 1] = redis.call('LINDEX', key, 0)
    end
  end
end
return shown
