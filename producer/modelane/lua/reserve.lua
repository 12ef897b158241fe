-- reserve: lease up to a batch of messages, most urgent first; what is due comes back first.
--
-- KEYS[1..4]  the lane's lists, most urgent first
-- KEYS[5]     leased: hash, tag -> message
-- KEYS[6]     leases: sorted set, tag -> Redis time at which the message returns
-- ARGV[1]     lease, seconds
-- ARGV[2..4]  at most so many messages, rows, bytes; the first message is taken whatever its size
-- ARGV[5]     token, unique to this call
-- ARGV[6]     attempts after which a message is buried
-- ARGV[7]     1: the same call was made before, and its reply lost
-- ARGV[8]     1: only what has lost no worker
-- ARGV[9]     what stands before a process in the key of its suspect
-- returns     {now, tag, message, tag, message, ...}; now is Redis time, seconds
--
-- A tag is <list><kind>:<process>.<token>:<number>.  Kind L is a lease: when it runs out, its worker was lost, and the
-- message returns with one more attempt.  Kind D is a delay that somebody asked for: no attempt is counted.
-- Attempts travel in the message itself, as its first JSON field, so it stays a plain Celery message.
--
-- A message that has lost workers is served in ever smaller batches, its last attempt alone: what kills a
-- worker stands alone before it is buried, and takes no neighbour with it.  Nor one from another lane of its
-- worker: if that named a suspect before it died, no other lease of it counts an attempt.

redis.call('PERSIST', KEYS[6]) -- changes nothing, but a script that has written may go on when memory is full

local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6

local function one_more_attempt(message)
  local attempts, rest = string.match(message, '^{"attempts":(%d+),(.*)$')
  if attempts then return '{"attempts":' .. (attempts + 1) .. ',' .. rest end
  return '{"attempts":1,' .. string.sub(message, 2)
end

local function is_to_blame(tag)
  if string.sub(tag, 2, 2) ~= 'L' then return false end
  local suspect = redis.call('GET', ARGV[9] .. (string.match(tag, ':(%w+)%.') or ''))
  return not suspect or suspect == tag
end

local function largest_batch_with(message)
  local attempts = string.match(message, '^{"attempts":(%d+)')
  if not attempts then return ARGV[2] + 0 end
  return math.max(1, math.floor(ARGV[2] ^ (1 - attempts / (ARGV[6] - 1))))
end

local until_ = string.format('%.6f', now + ARGV[1])
local most, rows_left, bytes_left = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local reply, leased, n = {string.format('%.6f', now)}, {}, 0

local function tag_of(list, number) -- digits enough for the largest batch: equal times are kept in this order
  return string.format('%dL:%s:%04d', list, ARGV[5], number)
end

if ARGV[7] == '1' then
  repeat
    local before = n
    for list = 1, 4 do
      local tag = tag_of(list, before + 1)
      local message = redis.call('HGET', KEYS[5], tag)
      if message then
        n = before + 1
        redis.call('ZADD', KEYS[6], until_, tag)
        reply[2 * n], reply[2 * n + 1] = tag, message
      end
    end
  until n == before
  if n > 0 then return reply end
end

local due = redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', now, 'LIMIT', 0, ARGV[2])
for i = #due, 1, -1 do -- backwards, so that the one due longest is served first
  local tag = due[i]
  local message = redis.call('HGET', KEYS[5], tag)
  if message then
    if is_to_blame(tag) then message = one_more_attempt(message) end
    redis.call('RPUSH', KEYS[tonumber(string.sub(tag, 1, 1))], message)
    redis.call('HDEL', KEYS[5], tag)
  end
  redis.call('ZREM', KEYS[6], tag)
end

local function take(list)
  while n < most do
    local message = redis.call('RPOP', KEYS[list])
    if not message then return true end
    -- Our client writes the rows at the front; others count as one row and by their bytes.
    local rows = tonumber(string.match(string.sub(message, 1, 48), '"rows":(%d+)') or 1)
    local company = largest_batch_with(message)
    local is_full = n > 0 and (n >= company or rows > rows_left or #message > bytes_left)
    if is_full or (ARGV[8] == '1' and string.find(message, '^{"attempts":')) then
      redis.call('RPUSH', KEYS[list], message)
      return false
    end
    most = math.min(most, company)
    rows_left, bytes_left, n = rows_left - rows, bytes_left - #message, n + 1
    local tag = tag_of(list, n)
    leased[2 * n - 1], leased[2 * n] = tag, message
    reply[2 * n], reply[2 * n + 1] = tag, message
  end
  return false
end

for list = 1, 4 do
  if not take(list) then break end
end
if n > 0 then
  redis.call('HSET', KEYS[5], unpack(leased))
  -- Backwards: a small sorted set is a plain list, in which each new one then stands in front at once.
  local leases = {}
  for i = n, 1, -1 do
    leases[#leases + 1] = until_
    leases[#leases + 1] = leased[2 * i - 1]
  end
  redis.call('ZADD', KEYS[6], unpack(leases))
end
return reply
