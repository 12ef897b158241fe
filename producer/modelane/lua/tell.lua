-- tell: store and publish how far a request has come, as long as it is leased; its result comes after it.
--
-- KEYS[1]     leases: sorted set, tag -> time
-- KEYS[2]     the request's result, and its channel
-- ARGV[1]     tag: only who still holds it may tell (fencing)
-- ARGV[2]     value: a result document that is not final
-- ARGV[3]     seconds to keep it
-- ARGV[4]     channel that gets it, as a MessagePack array of one; '': the result's own channel
-- returns     1, or 0 if the lease was lost

if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
if ARGV[4] == '' then
  redis.call('PUBLISH', KEYS[2], ARGV[2])
else
  redis.call('PUBLISH', ARGV[4], '\145' .. ARGV[2])
end
return 1
