-- progress: store and publish how far a request has come, as long as it is leased; its result comes after it.
--
-- KEYS[1]     list of the batch that the request was leased in
-- KEYS[2]     the request's result, and its channel
-- ARGV[1]     number of the message in the batch: only who still holds it may tell (fencing)
-- ARGV[2]     value: a result document that is not final
-- ARGV[3]     seconds to keep it
-- ARGV[4]     channel that gets it, as a MessagePack array of one; '': the result's own channel
-- returns     1, or 0 if the lease was lost

local message = redis.call('LINDEX', KEYS[1], -ARGV[1])
if not message or message == '' then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
if ARGV[4] == '' then
  redis.call('PUBLISH', KEYS[2], ARGV[2])
else
  redis.call('PUBLISH', ARGV[4], '\145' .. ARGV[2])
end
return 1
