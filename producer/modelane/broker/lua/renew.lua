-- renew: extend the leases of batches that are still being computed.
--
-- KEYS[1]     leased: hash, batch -> number of its messages still leased
-- KEYS[2]     leases: sorted set, batch -> Redis time at which its messages return
-- ARGV[1]     lease, seconds from now
-- ARGV[2..]   batches
-- returns     number of batches that are still leased

redis.call('PERSIST', KEYS[2]) -- no effect, but a script whose first command writes may continue when memory is full

local time = redis.call('TIME')
local until_ = string.format('%.6f', time[1] + time[2] / 1e6 + ARGV[1])
local n = 0
for i = 2, #ARGV do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
    n = n + 1
    redis.call('ZADD', KEYS[2], until_, ARGV[i])
  end
end
return n
