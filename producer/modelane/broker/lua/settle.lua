-- settle: store and publish the outcomes of batches and drop their leases.
--
-- KEYS[1]     leased: hash, batch -> number of its messages still leased; KEYS[1].<batch>: list of its messages
-- KEYS[2]     leases: sorted set, batch -> Redis time at which its messages return
-- KEYS[3]     dead: hash, id -> reason, newline, message
-- KEYS[4]     rate: "<Redis time of the last settle, or of a put into an idle lane> <requests settled per second,
--             or - if unknown>"
-- KEYS[5]     attached: exists if further clients may wait for a request; KEYS[5].<id>: set of their channels
-- ARGV[1]     prefix of the key and channel of a result
-- ARGV[2]     time constant of the rate, seconds: a settle so long ago weighs e times less
-- ARGV[3]     seconds to keep the rate
-- ARGV[4]     number of ways in which requests end; then for each way three arguments:
--   ttl       seconds to keep the result; 0: store none
--   reply     channel that gets the outcomes as MessagePack arrays, each short enough that a client that decodes it
--             does not block its other threads; '': the channel of each result
--   reason    why the message becomes a dead letter; '': it does not
-- then for each batch:
--   batch     name; outcomes of messages that are no longer leased in it are ignored (fencing)
--   n         number of outcomes; then for each outcome four arguments:
--     number  of the message in its batch
--     id      of the request
--     value   result to store
--     way     number of the way in which it ends
-- returns     positions of the outcomes that were ignored, from 0

redis.call('PERSIST', KEYS[2]) -- no effect, but a script whose first command writes may continue when memory is full

local function drop_batch(batch)
  redis.call('DEL', KEYS[1] .. '.' .. batch)
  redis.call('HDEL', KEYS[1], batch)
  redis.call('ZREM', KEYS[2], batch)
end

-- Replace a message by an empty element; return it, or false if it is no longer leased.
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
  -- JSON cannot be part of a MessagePack array: attached clients find the stored result.
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
  -- A batch is usually settled as a whole, and dropped in one step.
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
if n_held > 0 then -- exponentially weighted average
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
