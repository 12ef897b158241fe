-- redrive: move a dead letter back into its queue.
--
-- KEYS[1]     dead: hash, id -> reason, newline, message
-- KEYS[2]     waiting list to which it returns
-- KEYS[3]     its result: the stored failure is deleted
-- ARGV[1]     id
-- ARGV[2]     message to put back
-- returns     1, or 0 if there is no such dead letter

if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('DEL', KEYS[3])
redis.call('LPUSH', KEYS[2], ARGV[2])
return 1
