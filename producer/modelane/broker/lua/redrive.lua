-- redrive: give a dead letter another chance, as if it had just been put.
--
-- KEYS[1]     dead: hash, id -> reason, newline, message
-- KEYS[2]     the list that it goes back to
-- KEYS[3]     its stored failure, which is no longer the last word
-- ARGV[1]     id
-- ARGV[2]     its message, as it goes back
-- returns     1, or 0 if there is no such dead letter

if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('DEL', KEYS[3])
redis.call('LPUSH', KEYS[2], ARGV[2])
return 1
