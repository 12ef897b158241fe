-- redrive: give a dead letter another chance, as if it had just been put.
--
-- KEYS[1]     dead: hash, id -> reason, newline, message
-- KEYS[2]     the list that it goes back to
-- KEYS[3]     its stored failure, which is no longer the last word
-- ARGV[1]     id
-- returns     1, or 0 if there is no such dead letter

local letter = redis.call('HGET', KEYS[1], ARGV[1])
if not letter then return 0 end
local message = string.sub(letter, string.find(letter, '\n', 1, true) + 1)
message = string.gsub(message, '^{"attempts":%d+,', '{')
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[3])
redis.call('LPUSH', KEYS[2], message)
return 1
