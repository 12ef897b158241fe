-- claim: ask for the right to retrain a model, or to keep it; one run of a model at a time.
--
-- KEYS[1]     run: hash of the model's latest run
--               id       of the request that it was begun for
--               holder   the attempt that has the right
--               until    Redis time at which a holder that has not asked again counts as lost
--               outcome  there once it has ended
--               joined <id>  a request that gets its outcome, too
-- ARGV[1]     id of the request
-- ARGV[2]     holder: unique to this attempt
-- ARGV[3]     lease, seconds
-- ARGV[4]     seconds for which the request of a lost run goes before all others: it resumes the search
-- ARGV[5]     seconds to keep the record
-- returns     {'run'}: the right is yours; {'wait', id}: that run is under way; {'done', outcome}: needless

local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local id, holder, until_, outcome = unpack(redis.call('HMGET', KEYS[1], 'id', 'holder', 'until', 'outcome'))
local is_same = id == ARGV[1]

if outcome then
  if is_same or redis.call('HEXISTS', KEYS[1], 'joined ' .. ARGV[1]) == 1 then return {'done', outcome} end
  redis.call('DEL', KEYS[1])
elseif id and holder ~= ARGV[2] then
  local free_at = is_same and until_ + 0 or until_ + ARGV[4]
  if now < free_at then
    if not is_same then redis.call('HSET', KEYS[1], 'joined ' .. ARGV[1], '') end
    return {'wait', id}
  end
  if not is_same then redis.call('DEL', KEYS[1]) end
end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'holder', ARGV[2], 'until', string.format('%.6f', now + ARGV[3]))
redis.call('EXPIRE', KEYS[1], ARGV[5])
return {'run'}
