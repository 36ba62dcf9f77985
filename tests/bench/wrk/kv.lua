-- What wrk sends: `wrk … -s kv.lua URL -- METHOD PATH BODY KEYS SEED`.
--
--   METHOD  GET, PUT or POST
--   PATH    with one %d of any width for the key's number, such as /v1/kv/key:%012d?raw, or none
--   BODY    none; raw (the value); raw-64k, raw-1m (a longer one); json (the store's envelope); etcd
--           (its gateway's)
--   KEYS    numbers are drawn at random from 0 to KEYS - 1
--
-- All requests are made before the clock starts, so that each costs the client the same, whichever
-- server it goes to. Of more keys than kRequestsMax only so many are asked for, which are still far
-- more than caches hold. A key's value is always the same: 100 bytes made of the key, so that any
-- answer can be checked. Prints one line for the caller: RESULT, requests, microseconds, latency's
-- 50th and 99th percentile in microseconds, errors (connect, read, write, status, timeout).

local kValueBytes = 100
local kRequestsMax = 300000
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

local function long_value_of(key, bytes)
  return key:rep(math.ceil(bytes / #key)):sub(1, bytes)
end

local function value_of(key)
  return long_value_of(key, kValueBytes)
end

local bodies = {
  none = function() return nil end,
  raw = value_of,
  ["raw-64k"] = function(key) return long_value_of(key, 65536) end,
  ["raw-1m"] = function(key) return long_value_of(key, 1048576) end,
  json = function(key) return '{"value":"' .. base64(value_of(key)) .. '"}' end,
  etcd = function(key)
    return '{"key":"' .. base64(key) .. '","value":"' .. base64(value_of(key)) .. '"}'
  end,
}

local types = { json = "application/json", etcd = "application/json",
                raw = "application/octet-stream", ["raw-64k"] = "application/octet-stream",
                ["raw-1m"] = "application/octet-stream" }

local requests = {}

function init(arguments)
  local method, path, body = arguments[1], arguments[2], arguments[3]
  local keys, seed = tonumber(arguments[4]), tonumber(arguments[5])
  local key_format = path:match("([^/=]*%%0?%d*d)") or "key:%012d"
  math.randomseed(seed)
  local headers = { Host = wrk.headers["Host"], ["Content-Type"] = types[body] }
  for at = 1, math.min(keys, kRequestsMax) do
    local index = keys <= kRequestsMax and at - 1 or math.random(keys) - 1
    local text = bodies[body](key_format:format(index))
    requests[at] = wrk.format(method, path:format(index), headers, text)
  end
end

function request()
  return requests[math.random(#requests)]
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format("RESULT\t%d\t%d\t%d\t%d\t%d %d %d %d %d", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), errors.connect, errors.read, errors.write,
    errors.status, errors.timeout))
end
