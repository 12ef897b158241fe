-- release: return leased messages to the queue after a delay.
--
-- KEYS[1]     leased: hash, batch -> number of its messages still leased; KEYS[1].<batch>: list of its messages
-- KEYS[2]     leases: sorted set, batch -> Redis time at which its messages return
-- ARGV[1]     delay, seconds
-- ARGV[2]     1: this counts as an attempt (a retry); 0: it does not (an ETA, a shutdown)
-- ARGV[3..]   for each message: its batch, its number in the batch
-- returns     number of messages whose lease was still held
--
-- Each message becomes a separate batch, <list><kind>:<process>.<token>.<number>; kinds: see reserve.lua.

redis.call('PERSIST', KEYS[2]) -- no effect, but a script whose first command writes may continue when memory is full

local time = redis.call('TIME')
local back = string.format('%.6f', time[1] + time[2] / 1e6 + ARGV[1])
local kind = ARGV[2] == '0' and 'D' or 'L'
local n = 0
for i = 3, #ARGV, 2 do
  local batch, number = ARGV[i], ARGV[i + 1]
  local key = KEYS[1] .. '.' .. batch
  local message = redis.call('LINDEX', key, -number)
  if message and message ~= '' then
    n = n + 1
    redis.call('LSET', key, -number, '')
    if redis.call('HINCRBY', KEYS[1], batch, -1) == 0 then
      redis.call('DEL', key)
      redis.call('HDEL', KEYS[1], batch)
      redis.call('ZREM', KEYS[2], batch)
    end
    local own = string.sub(batch, 1, 1) .. kind .. string.sub(batch, 3) .. '.' .. number
    redis.call('RPUSH', KEYS[1] .. '.' .. own, message)
    redis.call('HSET', KEYS[1], own, 1)
    redis.call('ZADD', KEYS[2], back, own)
  end
end
return n
