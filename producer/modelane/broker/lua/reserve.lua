-- reserve: lease up to a batch of messages, most urgent first, after returning due ones to their lists.
--
-- KEYS[1..4]  the lane's waiting lists, most urgent first
-- KEYS[5]     leased: hash, batch -> number of its messages still leased; KEYS[5].<batch>: list of its messages
-- KEYS[6]     leases: sorted set, batch -> Redis time at which its messages return
-- ARGV[1]     lease, seconds
-- ARGV[2..4]  maximum number of messages, rows and bytes; the first message may exceed them
-- ARGV[5]     token of this call, unique
-- ARGV[6]     attempts after which a message becomes a dead letter
-- ARGV[7]     1: only messages that have lost no worker
-- ARGV[8]     prefix of the key of a process' suspect
-- ARGV[9]     seconds for which a lost call may still arrive
-- ARGV[10..]  tokens of earlier calls whose reply was lost: what they have leased is returned, and if they arrive
--             later, they lease nothing
-- returns     {now, batch, {message, message, ...}, batch, {...}, ...}; now is Redis time, seconds
--
-- The name of a batch is <list><kind>:<process>.<token>. All its messages are from one list; the n-th of them,
-- counted from the right end, has the tag <batch>:<n>. Messages are moved between lists, so Redis neither copies
-- them nor writes them to its append-only file again. A settled message leaves an empty element, so that the
-- others keep their numbers.
--
-- Kind L is a lease: when it expires, the worker was lost, and the messages return with one more attempt. Kind D is
-- a requested delay, which counts no attempt. Attempts are stored in the message itself, as its first JSON field,
-- so it remains a plain Celery message.
--
-- A message that has lost workers is served in smaller and smaller batches, and alone on its last attempt: a
-- message that kills its worker takes no other one with it when it becomes a dead letter. The same holds across
-- the lanes of a worker: if a worker named a suspect before it died, only the suspect's attempt is counted.

redis.call('PERSIST', KEYS[6]) -- no effect, but a script whose first command writes may continue when memory is full

local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6

local function one_more_attempt(message)
  local attempts, rest = string.match(message, '^{"attempts":(%d+),(.*)$')
  if attempts then return '{"attempts":' .. (attempts + 1) .. ',' .. rest end
  return '{"attempts":1,' .. string.sub(message, 2)
end

local function largest_batch_with(message)
  local attempts = string.match(message, '^{"attempts":(%d+)')
  if not attempts then return ARGV[2] + 0 end
  return math.max(1, math.floor(ARGV[2] ^ (1 - attempts / (ARGV[6] - 1))))
end

local function messages_of(batch)
  return redis.call('LRANGE', KEYS[5] .. '.' .. batch, 0, -1)
end

local until_ = string.format('%.6f', now + ARGV[1])
local reply = {string.format('%.6f', now)}

local function batch_of(list, token)
  return list .. 'L:' .. token
end

local function given_up(token)
  return KEYS[5] .. '.given-up.' .. token
end

if redis.call('EXISTS', given_up(ARGV[5])) == 1 then return reply end
for i = 10, #ARGV do
  redis.call('SET', given_up(ARGV[i]), '', 'EX', ARGV[9])
  for list = 1, 4 do
    local batch, found = batch_of(list, ARGV[i]), {}
    local held = messages_of(batch)
    for j = #held, 1, -1 do found[#found + 1] = held[j] end
    if #found > 0 then
      redis.call('ZADD', KEYS[6], until_, batch)
      reply[#reply + 1], reply[#reply + 2] = batch, found
    end
  end
end
if #reply > 1 then return reply end

local function suspect_of(batch)
  if string.sub(batch, 2, 2) ~= 'L' then return '' end
  return redis.call('GET', ARGV[8] .. (string.match(batch, ':(%w+)%.') or ''))
end

local due = redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', now, 'LIMIT', 0, ARGV[2])
for i = #due, 1, -1 do -- in reverse, so that the batch that is due longest is served first
  local batch = due[i]
  local list, suspect, held = KEYS[tonumber(string.sub(batch, 1, 1))], suspect_of(batch), messages_of(batch)
  for j = 1, #held do
    local message = held[j]
    if message ~= '' then
      local is_to_blame = not suspect or suspect == batch .. ':' .. (#held + 1 - j)
      redis.call('RPUSH', list, is_to_blame and one_more_attempt(message) or message)
    end
  end
  redis.call('DEL', KEYS[5] .. '.' .. batch)
  redis.call('HDEL', KEYS[5], batch)
  redis.call('ZREM', KEYS[6], batch)
end

local most, rows_left, bytes_left, n = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), 0

local function take(list, batch, taken)
  local key = KEYS[5] .. '.' .. batch
  while n < most do
    local message = redis.call('LMOVE', KEYS[list], key, 'RIGHT', 'LEFT')
    if not message then return true end
    -- Modelane's client writes the number of rows first; other messages count as one row, and by their bytes.
    local rows = tonumber(string.match(string.sub(message, 1, 48), '"rows":(%d+)') or 1)
    local company = largest_batch_with(message)
    local is_full = n > 0 and (n >= company or rows > rows_left or #message > bytes_left)
    if is_full or (ARGV[7] == '1' and string.find(message, '^{"attempts":')) then
      redis.call('LMOVE', key, KEYS[list], 'LEFT', 'RIGHT')
      return false
    end
    most = math.min(most, company)
    rows_left, bytes_left, n = rows_left - rows, bytes_left - #message, n + 1
    taken[#taken + 1] = message
  end
  return false
end

for list = 1, 4 do
  local batch, taken = batch_of(list, ARGV[5]), {}
  local is_empty = take(list, batch, taken)
  if #taken > 0 then
    redis.call('HSET', KEYS[5], batch, #taken)
    redis.call('ZADD', KEYS[6], until_, batch)
    reply[#reply + 1], reply[#reply + 2] = batch, taken
  end
  if not is_empty then break end
end
return reply
