-- ready: tell whether there is something to reserve; read-only.
--
-- KEYS[1..4]  the lane's waiting lists
-- KEYS[5]     leases: sorted set, batch -> Redis time at which its messages return
-- returns     1 if there is, else 0

if redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[3], KEYS[4]) > 0 then return 1 end
local time = redis.call('TIME')
return redis.call('ZCOUNT', KEYS[5], '-inf', time[1] + time[2] / 1e6) > 0 and 1 or 0
