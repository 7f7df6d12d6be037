-- Lets a client do something so many times within any span of time, by the clock of the server.
-- KEYS[1]: the client's log of the times, in microseconds, the newest first.
-- ARGV: how many times (limit), how long the span is (microseconds), how many are wanted now.
-- Returns 1 and how many are left, or 0 and after how many microseconds it is worth asking again.
local limit, span, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

-- The log never holds more than `limit` times; those that are older than the span no longer count.
local oldest = redis.call('LINDEX', KEYS[1], -1)
while oldest and tonumber(oldest) <= now - span do
  redis.call('RPOP', KEYS[1])
  oldest = redis.call('LINDEX', KEYS[1], -1)
end

local used = redis.call('LLEN', KEYS[1])
if used + wanted > limit then
  -- There is room again when enough of the oldest have left the span.
  local blocking = redis.call('LINDEX', KEYS[1], limit - wanted)
  return {0, blocking and (tonumber(blocking) + span - now) or span}
end
for _ = 1, wanted do
  redis.call('LPUSH', KEYS[1], string.format('%.0f', now))
end
redis.call('PEXPIRE', KEYS[1], math.ceil(span / 1000))
return {1, limit - used - wanted}
