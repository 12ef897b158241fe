-- withdraw: remove requests for a model that no worker knows from its lane.
--
-- KEYS[1..4]  the lane's waiting lists, most urgent first
-- KEYS[5]     served: set, names of all models ever published or announced
-- ARGV[1]     model
-- ARGV[2]     prefix of the key that exists while a worker serves a model
-- ARGV[3]     prefix of the key of a result
-- ARGV[4..]   ids of the requests
-- returns     {1, 1 if a worker serves it else 0, names of served models}: the model is known, or no worker runs;
--             {0, number of removed requests, their ids, names of served models}: the model is not known

local known, served, is_known = redis.call('SMEMBERS', KEYS[5]), {}, false
for _, name in ipairs(known) do
  if redis.call('EXISTS', ARGV[2] .. name) == 1 then served[#served + 1] = name end
  if name == ARGV[1] then is_known = true end
end
if is_known or #served == 0 then
  return {1, redis.call('EXISTS', ARGV[2] .. ARGV[1]), unpack(served)}
end

local wanted, reply, n = {}, {0, 0}, 0
for i = 4, #ARGV do wanted[ARGV[i]] = true end
for i = 1, 4 do
  for _, message in ipairs(redis.call('LRANGE', KEYS[i], -1000, -1)) do -- the oldest
    local id = string.match(message, '"id":"([^"]+)"')
    if wanted[id] and redis.call('LREM', KEYS[i], -1, message) == 1 then
      redis.call('DEL', ARGV[3] .. id) -- an id that the caller chose is free again
      n = n + 1
      reply[2 + n] = id
    end
  end
end
reply[2] = n
for _, name in ipairs(served) do reply[#reply + 1] = name end
return reply
