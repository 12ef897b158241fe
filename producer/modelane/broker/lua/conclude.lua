-- conclude: release the right to retrain a model, with or without an outcome.
--
-- KEYS[1]     run: see claim.lua
-- KEYS[2..5]  waiting lists of the retraining queue
-- ARGV[1]     holder
-- ARGV[2]     outcome, for every request sent so far; 'again': another trainer resumes the run;
--             'none': no outcome, and the next request may start a new run
-- ARGV[3]     seconds to keep an outcome
-- ARGV[4]     maximum number of waiting messages to search per list
-- ARGV[5]     maximum bytes of a message; larger ones are skipped
-- returns     1, or 0 if another attempt has the right

if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
if ARGV[2] == 'none' then
  redis.call('DEL', KEYS[1])
  return 1
end
if ARGV[2] == 'again' then
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'until', string.format('%.6f', time[1] + time[2] / 1e6), 'holder', '')
  return 1
end
for list = 2, 5 do
  for _, message in ipairs(redis.call('LRANGE', KEYS[list], -ARGV[4], -1)) do
    local id = #message <= ARGV[5] + 0 and string.match(message, '"id": ?"([^"\\]+)"')
    if id then redis.call('HSET', KEYS[1], 'joined ' .. id, '') end
  end
end
redis.call('HSET', KEYS[1], 'outcome', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
