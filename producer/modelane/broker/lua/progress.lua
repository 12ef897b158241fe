-- progress: store and publish the progress of a request while it is leased; its result replaces it later.
--
-- KEYS[1]     list of the messages of its batch
-- KEYS[2]     result of the request; also its channel
-- ARGV[1]     number of the message in the batch: without the lease nothing is stored (fencing)
-- ARGV[2]     result document with a state that is not final
-- ARGV[3]     seconds to keep it
-- ARGV[4]     channel that gets it, as a MessagePack array of one; '': the channel of the result
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
