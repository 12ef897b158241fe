-- settle: store and publish the outcomes of a batch and drop its leases, all in one step.
--
-- KEYS[1]     leased: hash, tag -> message
-- KEYS[2]     leases: sorted set, tag -> time
-- KEYS[3]     dead: hash, id -> reason, newline, message
-- KEYS[4]     rate: "<Redis time of the last settle> <requests settled a second>"
-- ARGV[1]     what stands before an id in a result's key and channel
-- ARGV[2]     seconds that the rate looks back; what lies further back weighs e times less
-- ARGV[3]     seconds to keep the rate
-- then six for each outcome:
--   tag       only who still holds it may answer: an outcome without it is ignored (fencing)
--   id        request's id
--   value     the result as it is stored
--   ttl       seconds to keep it; 0: nobody wants it
--   reply     channel that gets all its outcomes as one MessagePack array; '': the result's own channel
--   reason    '': settled for good; else the message is buried with this reason
-- returns     the number of each outcome that was ignored, counted from 0

redis.call('PERSIST', KEYS[2]) -- changes nothing, but a script that has written may go on when memory is full

local tags, n = {}, (#ARGV - 3) / 6
for i = 1, n do tags[i] = ARGV[6 * i - 2] end
local leases = redis.call('ZMSCORE', KEYS[2], unpack(tags))

local ignored, held, replies = {}, {}, {}
for i = 1, n do
  if not leases[i] then
    ignored[#ignored + 1] = i - 1
  else
    local tag, id, value, ttl, reply, reason = unpack(ARGV, 6 * i - 2, 6 * i + 3)
    held[#held + 1] = tag
    if reason ~= '' then
      redis.call('HSET', KEYS[3], id, reason .. '\n' .. redis.call('HGET', KEYS[1], tag))
    end
    if ttl ~= '0' then
      local key = ARGV[1] .. id
      redis.call('SET', key, value, 'EX', ttl)
      if reply == '' then
        redis.call('PUBLISH', key, value)
      else
        local values = replies[reply]
        if values then values[#values + 1] = value else replies[reply] = {value} end
      end
    end
  end
end
if #held > 0 then -- each call from a script costs as much as what it does: one for all
  redis.call('HDEL', KEYS[1], unpack(held))
  redis.call('ZREM', KEYS[2], unpack(held))
end
for channel, values in pairs(replies) do
  redis.call('PUBLISH', channel, '\221' .. struct.pack('>I4', #values) .. table.concat(values))
end
if #held > 0 then -- an average over time, of which the last seconds weigh most
  local time = redis.call('TIME')
  local now = time[1] + time[2] / 1e6
  local at, rate = string.match(redis.call('GET', KEYS[4]) or '', '^(%d[%d.]*) (%d[%d.e+-]*)$')
  local passed = at and math.max(now - at, 1e-6) or ARGV[2] + 0
  local old = math.exp(-passed / ARGV[2])
  rate = (rate or 0) * old + #held / passed * (1 - old)
  redis.call('SET', KEYS[4], string.format('%.6f %.6g', now, rate), 'EX', ARGV[3])
end
return ignored
