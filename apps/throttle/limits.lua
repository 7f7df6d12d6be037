-- Draws from several limits of one client, from all of them or from none, by the clock of the server.
-- KEYS: one for each limit.
-- ARGV: one for each limit, of four words: 'bucket', its capacity (points), its rate (points a second), how many are
--       wanted; or 'window', its count, its span (seconds), how many are wanted. 0 only looks, less gives back.
--       After them 'settle', to draw from buckets whatever is there: they may owe as much as they can hold.
-- Returns three numbers for each limit, in one text: how many are left now; after how many microseconds what was
-- wanted will be there (0: it is, inf: never); after how many microseconds the limit will be whole.
-- A key that holds what this script did not write is taken for none: the limit is whole.
local MICRO = 1000000
local clock = redis.call('TIME')
local now = clock[1] * MICRO + clock[2]

local function whole_number(held)
  return type(held) == 'string' and string.match(held, '^%d+$') and tonumber(held) or 0
end

-- A bucket is kept as 'points@time': how many millionths of a point were in it when. Without a key it is full.
local function bucket(key, capacity, rate)
  local size = capacity * MICRO
  local held = redis.pcall('GET', key)
  local points, at = string.match(type(held) == 'string' and held or '', '^(-?%d+)@(%d+)$')
  points, at = tonumber(points or size), tonumber(at or now)
  local level = math.min(size, points + math.floor(math.max(0, now - at) * rate))

  local function write()
    if level >= size then
      redis.call('DEL', key)
    else
      local full_after = math.ceil((size - level) / rate / 1000) + 1 -- a millisecond that has begun counts as gone
      redis.call('SET', key, string.format('%.0f@%.0f', level, now), 'PX', string.format('%.0f', full_after))
    end
  end
  if at > now then
    write() -- The clock went back: no time has passed, and it goes on from here.
  end

  return {
    remaining = function() return math.max(0, math.floor(level / MICRO)) end,
    wait = function(wanted) return math.max(0, math.ceil((wanted * MICRO - level) / rate)) end,
    reset = function() return math.ceil((size - level) / rate) end,
    draw = function(wanted)
      level = math.max(-size, math.min(size, level - wanted * MICRO))
      write()
    end,
  }
end

-- A window is kept as the list of the times that count, in microseconds, the newest first.
local function window(key, count, seconds)
  local span = seconds * MICRO
  local used = redis.pcall('LLEN', key)
  if type(used) ~= 'number' then
    redis.call('DEL', key)
    used = 0
  end
  local function at(place)
    return whole_number(redis.call('LINDEX', key, place))
  end

  local newest = at(0)
  local ahead = newest - now
  if ahead > 0 then -- The clock went back: no time has passed since the newest.
    newest = now
    for place, held in ipairs(redis.call('LRANGE', key, 0, -1)) do
      redis.call('LSET', key, place - 1, string.format('%.0f', whole_number(held) - ahead))
    end
  end
  while used > 0 and at(-1) <= now - span do
    redis.call('RPOP', key)
    used = used - 1
  end

  local function remaining()
    return math.max(0, count - used)
  end
  return {
    remaining = remaining,
    -- There is room again when enough of the oldest have left the span.
    wait = function(wanted)
      return wanted <= remaining() and 0 or math.max(1, math.ceil(at(count - wanted) + span - now))
    end,
    reset = function() return math.max(0, math.ceil(newest + span - now)) end,
    draw = function(wanted)
      for _ = 1, wanted do
        redis.call('LPUSH', key, string.format('%.0f', now))
      end
      redis.call('PEXPIRE', key, math.ceil(span / 1000))
      used, newest = used + wanted, now
    end,
  }
end

local kinds = {bucket = bucket, window = window}
local limits, granted, settles = {}, true, ARGV[#KEYS + 1] == 'settle'
for place, key in ipairs(KEYS) do
  local kind, size, pace, wanted = string.match(ARGV[place], '^(%S+) (%S+) (%S+) (%S+)$')
  size, wanted = tonumber(size), tonumber(wanted)
  local limit = kinds[kind](key, size, tonumber(pace))
  limit.wanted = wanted
  limit.waits = wanted > size and math.huge or limit.wait(wanted)
  granted = settles or (granted and limit.waits == 0)
  limits[place] = limit
end

local answer = {}
for _, limit in ipairs(limits) do
  if granted and limit.wanted ~= 0 then
    limit.draw(limit.wanted)
  end
  table.insert(answer, string.format('%.0f %.0f %.0f', limit.remaining(), limit.waits, limit.reset()))
end
return table.concat(answer, ' ')
