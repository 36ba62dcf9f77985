-- What wrk sends: `wrk … -s kv.lua URL -- get|put|fill|static KEYS SEED`.
--
--   get, put  random keys out of KEYS
--   static    the file /static/page, again and again
--   fill      puts every key once, in order, then ends the run
--
-- All requests are made before the clock starts, so that each costs the client the same, whichever
-- server it goes to. A key's value is always the same: 100 bytes made of the key, so that any
-- answer can be checked. Prints one line for the caller: RESULT, requests, microseconds, latency's
-- 50th and 99th percentile in microseconds, errors (connect, read, write, status, timeout).

local ffi = require("ffi")
ffi.cdef("int getpid(void); int kill(int pid, int signal);")

local kSignalInterrupt = 2
local kValueBytes = 100
local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function digit(number)
  return alphabet:sub(number + 1, number + 1)
end

local function base64(text)
  local out = {}
  for at = 1, #text, 3 do
    local a, b, c = text:byte(at, at + 2)
    local bits = a * 65536 + (b or 0) * 256 + (c or 0)
    out[#out + 1] = digit(math.floor(bits / 262144))
    out[#out + 1] = digit(math.floor(bits / 4096) % 64)
    out[#out + 1] = b and digit(math.floor(bits / 64) % 64) or "="
    out[#out + 1] = c and digit(bits % 64) or "="
  end
  return table.concat(out)
end

local function key_of(index)
  return string.format("key:%012d", index)
end

local function value_of(key)
  return key:rep(math.ceil(kValueBytes / #key)):sub(1, kValueBytes)
end

local requests = {}
local filling = false
local sent = 0
local answered = 0

function init(arguments)
  local mode, keys, seed = arguments[1], tonumber(arguments[2]), tonumber(arguments[3])
  filling = mode == "fill"
  math.randomseed(seed)
  local headers = { Host = wrk.headers["Host"] }
  if mode == "put" or mode == "fill" then headers["Content-Type"] = "application/json" end
  for index = 0, keys - 1 do
    local key = key_of(index)
    local path = "/v1/kv/" .. key
    if mode == "static" then path = "/static/page" end
    if mode == "get" or mode == "static" then
      requests[index + 1] = wrk.format("GET", path, headers)
    else
      local body = '{"value":"' .. base64(value_of(key)) .. '"}'
      requests[index + 1] = wrk.format("PUT", path, headers, body)
    end
  end
  if not filling then response = nil end  -- wrk parses answers for it only if it is there
end

function request()
  if filling then
    sent = sent + 1
    return requests[(sent - 1) % #requests + 1]
  end
  return requests[math.random(#requests)]
end

-- While it fills. Each connection waits for one answer at most: so many answers later, every key
-- has its own. wrk takes the signal as the end of the run.
function response()
  answered = answered + 1
  if answered == #requests + 64 then ffi.C.kill(ffi.C.getpid(), kSignalInterrupt) end
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format("RESULT\t%d\t%d\t%d\t%d\t%d %d %d %d %d", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), errors.connect, errors.read, errors.write,
    errors.status, errors.timeout))
end
