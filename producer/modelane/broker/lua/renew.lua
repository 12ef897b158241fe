-- renew: keep the leases of batches that are still being computed.
--
-- KEYS[1]     leased: hash, batch -> how many of its messages are held
-- KEYS[2]     leases: sorted set, batch -> time
-- ARGV[1]     lease, seconds from now
-- ARGV[2..]   batches
-- returns     how many are still ours

redis.call('PERSIST', KEYS[2]) -- changes nothing, but a script that has written may go on when memory is full

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
