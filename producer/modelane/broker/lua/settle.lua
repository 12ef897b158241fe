-- settle: store and publish the outcomes of a batch and drop its leases, all in one step.
--
-- KEYS[1]     leased: hash, batch -> how many of its messages are held; KEYS[1].<batch> is the list of them
-- KEYS[2]     leases: sorted set, batch -> time
-- KEYS[3]     dead: hash, id -> reason, newline, message
-- KEYS[4]     rate: "<Redis time of the last settle, or put into an idle lane> <requests settled a second, or ->"
-- KEYS[5]     attached: exists if more than its sender may wait for a request; KEYS[5].<id>: set of their channels
-- ARGV[1]     what stands before an id in a result's key and channel
-- ARGV[2]     seconds that the rate looks back; what lies further back weighs e times less
-- ARGV[3]     seconds to keep the rate
-- ARGV[4]     how many ways to end there are; then three for each way:
--   ttl       seconds to keep the result; 0: nobody wants it
--   reply     channel that gets its outcomes as MessagePack arrays, so many in each that a client does not hold
--             up its other threads while it decodes one; '': the result's own channel
--   reason    '': settled for good; else the message is buried with this reason
-- then for each batch:
--   batch     of which only what is still held may be answered: all other outcomes are ignored (fencing)
--   n         how many outcomes; then four for each:
--     number  of the message in its batch
--     id      request's id
--     value   the result as it is stored
--     way     number of the way in which it ends
-- returns     the number of each outcome that was ignored, counted from 0

redis.call('PERSIST', KEYS[2]) -- changes nothing, but a script that has written may go on when memory is full

local function drop_batch(batch)
  redis.call('DEL', KEYS[1] .. '.' .. batch)
  redis.call('HDEL', KEYS[1], batch)
  redis.call('ZREM', KEYS[2], batch)
end

-- Leave a blank in place of a message; what it was, or false if it is not held any more.
local function take_out(batch, number)
  local key = KEYS[1] .. '.' .. batch
  local message = redis.call('LINDEX', key, -number)
  if not message or message == '' then return false end
  redis.call('LSET', key, -number, '')
  if redis.call('HINCRBY', KEYS[1], batch, -1) == 0 then drop_batch(batch) end
  return message
end

local ways = {}
for i = 5, 2 + 3 * ARGV[4], 3 do
  ways[#ways + 1] = {ttl = ARGV[i], reply = ARGV[i + 1], reason = ARGV[i + 2], values = {}}
end

local is_attached, attached = redis.call('EXISTS', KEYS[5]) == 1, {} -- channel -> values

local function tell_attached(way, id, value)
  local key = KEYS[5] .. '.' .. id
  for _, channel in ipairs(redis.call('SMEMBERS', key)) do
    if channel ~= way.reply then
      attached[channel] = attached[channel] or {}
      table.insert(attached[channel], value)
    end
  end
  redis.call('DEL', key)
end

local function store(way, id, value)
  local key = ARGV[1] .. id
  redis.call('SET', key, value, 'EX', way.ttl)
  if way.reply == '' then redis.call('PUBLISH', key, value) else way.values[#way.values + 1] = value end
  -- JSON has no place in a MessagePack array: who is attached finds it stored.
  if is_attached and string.sub(value, 1, 1) ~= '{' then tell_attached(way, id, value) end
end

local function publish(channel, values)
  for first = 1, #values, 128 do
    local last = math.min(first + 127, #values)
    local head = '\221' .. struct.pack('>I4', last - first + 1)
    redis.call('PUBLISH', channel, head .. table.concat(values, '', first, last))
  end
end

local ignored, n_held, seen = {}, 0, 0
local at = 5 + 3 * ARGV[4]
while at < #ARGV do
  local batch, n = ARGV[at], ARGV[at + 1]
  -- As a rule a batch is settled whole, and goes at once.
  local is_whole = redis.call('HGET', KEYS[1], batch) == n
    and redis.call('LLEN', KEYS[1] .. '.' .. batch) == tonumber(n)
  for i = at + 2, at - 2 + 4 * n, 4 do
    local way = ways[tonumber(ARGV[i + 3])]
    local message
    if not is_whole then
      message = take_out(batch, ARGV[i])
    else
      message = way.reason == '' or redis.call('LINDEX', KEYS[1] .. '.' .. batch, -ARGV[i])
    end
    if message then
      n_held = n_held + 1
      if way.reason ~= '' then redis.call('HSET', KEYS[3], ARGV[i + 1], way.reason .. '\n' .. message) end
      if way.ttl ~= '0' then store(way, ARGV[i + 1], ARGV[i + 2]) end
    else
      ignored[#ignored + 1] = seen
    end
    seen = seen + 1
  end
  if is_whole then drop_batch(batch) end
  at = at + 2 + 4 * n
end
for _, way in ipairs(ways) do
  if #way.values > 0 then publish(way.reply, way.values) end
end
for channel, values in pairs(attached) do publish(channel, values) end
if n_held > 0 then -- an average over time, of which the last seconds weigh most
  local time = redis.call('TIME')
  local now = time[1] + time[2] / 1e6
  local known = redis.call('GET', KEYS[4]) or ''
  local at, rate = string.match(known, '^(%d[%d.]*) (%d[%d.e+-]*)$')
  at = at or string.match(known, '^(%d[%d.]*) %-$')
  local passed = at and math.max(now - at, 1e-6) or ARGV[2] + 0
  local old = rate and math.exp(-passed / ARGV[2]) or 0
  rate = (rate or 0) * old + n_held / passed * (1 - old)
  redis.call('SET', KEYS[4], string.format('%.6f %.6g', now, rate), 'EX', ARGV[3])
end
return ignored
