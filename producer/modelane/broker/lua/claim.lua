-- claim: take or keep the right to retrain a model; a model has one run at a time.
--
-- KEYS[1]     run: hash of the model's latest run
--               id       of the request for which it was started
--               holder   attempt that has the right
--               until    Redis time at which the holder counts as lost unless it claims again
--               outcome  present once the run has ended
--               joined <id>  another request that gets the same outcome
-- ARGV[1]     id of the request
-- ARGV[2]     holder: unique to this attempt
-- ARGV[3]     lease, seconds
-- ARGV[4]     seconds for which only the request of a lost run may take it over: it resumes the search
-- ARGV[5]     seconds to keep the record
-- returns     {'run'}: the caller has the right; {'wait', id}: a run for that id is in progress;
--             {'done', outcome}: the run that answers this request has ended

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
