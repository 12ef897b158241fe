-- put: append messages to one priority list of a lane, all or none, once.
--
-- KEYS[1..4]  the lane's lists, most urgent first
-- KEYS[5]     marks this put as done: a repeat after a lost connection changes nothing
-- KEYS[6]     rate, as settle keeps it
-- KEYS[7]     leased, as reserve keeps it
-- KEYS[8..]   results of messages whose id is put only once, one a message; or none at all
-- ARGV[1]     which list, 1..4
-- ARGV[2]     messages that may wait in the lane
-- ARGV[3]     seconds that the mark lives
-- ARGV[4]     Unix time on the sender's clock
-- ARGV[5]     seconds that the rate looks back
-- ARGV[6]     seconds to keep the rate
-- ARGV[7..]   messages; for results, then what is stored there meanwhile, then for how many seconds
-- returns     {1, depth after, numbers of those whose id is known, counted from 0},
--             or {0, depth that refused it, seconds until there is room; '' if unknown}
--
-- A sender's clock that is more than a second off is noted in its messages, as their last JSON field: the
-- times in them are by that clock, deadlines are held against Redis time.

local depth = 0
for i = 1, 4 do depth = depth + redis.call('LLEN', KEYS[i]) end
local before = redis.call('GET', KEYS[5])
if before then return {1, depth, before} end

local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6

-- What no worker came to in time was not computed: it may be put again.
local expired = '\166status\167REVOKED\166result\131\168exc_type\167Expired'
local n, known, records = #ARGV - 6, {}, {}
if #KEYS > 7 then
  n = #KEYS - 7
  local n_new, seen = 0, {}
  for i = 1, n do
    local key = KEYS[7 + i]
    local stored = redis.call('GETRANGE', key, 0, 511)
    if seen[key] or (stored ~= '' and not string.find(stored, expired, 1, true)) then
      known[#known + 1] = i - 1
    else
      seen[key] = true
      n_new = n_new + 1
      records[n_new] = {'SET', key, ARGV[6 + n + i], 'EX', ARGV[6 + 2 * n + i]}
      ARGV[6 + n_new] = ARGV[6 + i]
    end
  end
  n = n_new
  for i = #ARGV, 7 + n, -1 do ARGV[i] = nil end
end
local too_many = depth + n - ARGV[2]
if too_many > 0 and n > 0 then
  local at, rate = string.match(redis.call('GET', KEYS[6]) or '', '^(%d[%d.]*) (%d[%d.e+-]*)$')
  if not at then return {0, depth, ''} end
  -- A lane that has been silent for long is slower than it was.
  local silent = math.max(1, (now - at) / ARGV[5])
  return {0, depth, string.format('%.6g', too_many / rate * silent)}
end

known = table.concat(known, ' ')
redis.call('SET', KEYS[5], known, 'EX', ARGV[3])
for _, record in ipairs(records) do redis.call(unpack(record)) end
local clock_off = now - ARGV[4]
if math.abs(clock_off) > 1 then
  local note = string.format(',"clock_off_s":%.3f}', clock_off)
  for i = 7, #ARGV do ARGV[i] = string.sub(ARGV[i], 1, -2) .. note end
end
local list = KEYS[tonumber(ARGV[1])]
for first = 7, #ARGV, 1000 do -- unpack has room for some thousands
  redis.call('LPUSH', list, unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
if depth == 0 and n > 0 and redis.call('HLEN', KEYS[7]) == 0 then -- that it had nothing to do makes no lane slower
  local rate = string.match(redis.call('GET', KEYS[6]) or '', '^%d[%d.]* (%d[%d.e+-]*)$')
  redis.call('SET', KEYS[6], string.format('%.6f %s', now, rate or '-'), 'EX', ARGV[6])
end
return {1, depth + n, known}
