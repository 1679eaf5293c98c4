/**
 * The scripts: each is one atomic step. A script looks before it writes, and writes only what may be written twice;
 * nothing in it can fail half-way: every key is deleted or overwritten whole, so none has a wrong type, and a server
 * that is out of memory refuses the script at its start.
 */
import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';

export interface Script {
  readonly text: string;
  readonly sha: string;
}

function script(flags: string, body: string): Script {
  const text = `#!lua${flags}\n${body}`;
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}

/** Lua's unpack has a limit of about 8,000; a thousand keeps its stack small. Even, for pairs. */
const unpackAtMost = 1000;

/**
 * KEYS: state hash, parked hash. ARGV: epoch; moves {field, from, to}; state fields {name, value}; deleted keys; strings
 * {key, value}; expiring strings {key, value, at, or k and at to keep an expiry}; hashes {key, at or 0, n, field, value, …}; parked {name, text};
 * unparked names: each list led by its number of entries. Positions move last.
 */
const applyBody = `
local at = 1
local function take()
  at = at + 1
  return ARGV[at - 1]
end
local function each(width, command, ...)
  local left = tonumber(take()) * width
  while left > 0 do
    local n = math.min(left, ${unpackAtMost})
    local args = {...}
    for i = 0, n - 1 do args[#args + 1] = ARGV[at + i] end
    redis.call(command, unpack(args))
    at = at + n
    left = left - n
  end
end

local function expiry(key, wanted)
  if string.sub(wanted, 1, 1) ~= 'k' then return wanted end
  local held = redis.call('PEXPIRETIME', key)
  if held > 0 then return string.format('%d', held) end
  return string.sub(wanted, 2)
end

local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then return 'lost' end
local mine = take()
if epoch ~= mine then
  if tonumber(epoch) > tonumber(mine) then return 'fenced' end
  return 'stale'
end
local moves = tonumber(take())
local moved = {}
for i = 1, moves do
  local field, from = take(), take()
  if (redis.call('HGET', KEYS[1], field) or '0:0') ~= from then return 'stale' end
  moved[2 * i - 1] = field
  moved[2 * i] = take()
end
local fields = tonumber(take())
for i = 1, 2 * fields do moved[#moved + 1] = take() end

each(1, 'DEL')
each(2, 'MSET')
for i = 1, tonumber(take()) do
  local key, value, expires = take(), take(), take()
  redis.call('SET', key, value, 'PXAT', expiry(key, expires))
end
for i = 1, tonumber(take()) do
  local key, expires, n = take(), take(), tonumber(take())
  expires = expiry(key, expires)
  redis.call('DEL', key)
  while n > 0 do
    local m = math.min(n, ${unpackAtMost})
    redis.call('HSET', key, unpack(ARGV, at, at + m - 1))
    at = at + m
    n = n - m
  end
  if expires ~= '0' then redis.call('PEXPIREAT', key, expires) end
end
each(2, 'HSET', KEYS[2])
each(1, 'HDEL', KEYS[2])
for i = 1, #moved, ${unpackAtMost} do
  redis.call('HSET', KEYS[1], unpack(moved, i, math.min(i + ${unpackAtMost} - 1, #moved)))
end
return 'applied'
`;

export const applyScript = script('', applyBody);
/** The same where nothing but deletes is to be done: they free memory, so they go on when there is none. */
export const applyDeletesScript = script(' flags=allow-oom', applyBody);

/** ARGV: the highest epoch that may be raised, or `inf`. Returns false, `fenced`, or the state hash as a flat list. */
export const raiseScript = script(
  ' flags=allow-oom',
  `
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then return false end
if ARGV[1] ~= 'inf' and tonumber(epoch) > tonumber(ARGV[1]) then return 'fenced' end
local mine = tonumber(epoch)
if ARGV[1] ~= 'inf' and tonumber(ARGV[1]) > mine then mine = tonumber(ARGV[1]) end
redis.call('HSET', KEYS[1], 'epoch', string.format('%d', mine + 1))
return redis.call('HGETALL', KEYS[1])
`,
);

/** KEYS: state hash, claim. ARGV: pipeline; fields and values. Returns `created`, `there`, or the name of the claimant. */
export const createScript = script(
  '',
  `
local owner = redis.call('GET', KEYS[2])
if owner and owner ~= ARGV[1] then return 'claimed:' .. owner end
redis.call('SET', KEYS[2], ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 1 then return 'there' end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return 'created'
`,
);

/** KEYS: state hash. ARGV: epoch; fields and values of everything but progress. Positions not named go. */
export const repositionScript = script(
  ' flags=allow-oom',
  `
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 'elsewhere' end
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 2) == 'p:' then redis.call('HDEL', KEYS[1], field) end
end
for i = 2, #ARGV, ${unpackAtMost} do
  redis.call('HSET', KEYS[1], unpack(ARGV, i, math.min(i + ${unpackAtMost} - 1, #ARGV)))
end
return 'done'
`,
);

/**
 * KEYS: strings. ARGV: `never` or `always`, when they are to expire. Returns the values, and the numbers of the keys that
 * are there and expire, or do not, against that.
 */
export const compareScript = script(
  ' flags=no-writes',
  `
local values = redis.call('MGET', unpack(KEYS))
local wrong = {}
for i = 1, #KEYS do
  if values[i] and (redis.call('PEXPIRETIME', KEYS[i]) < 0) == (ARGV[1] == 'always') then wrong[#wrong + 1] = i end
end
return {values, wrong}
`,
);

/** KEYS: state hashes, then any keys. ARGV: how many state hashes. Returns these, and type, value and expiry of each key. */
export const readScript = script(
  ' flags=no-writes',
  `
local shards = tonumber(ARGV[1])
local states, entries = {}, {}
for i = 1, shards do states[i] = redis.call('HGETALL', KEYS[i]) end
for i = shards + 1, #KEYS do
  local key = KEYS[i]
  local kind = redis.call('TYPE', key)['ok']
  local value = false
  if kind == 'string' then value = redis.call('GET', key) end
  if kind == 'hash' then value = redis.call('HGETALL', key) end
  entries[i - shards] = {kind, value, redis.call('PEXPIRETIME', key)}
end
return {states, entries}
`,
);

/**
 * KEYS: state hash, parked hash. ARGV: for each key its name, `hash` or `json`, its name in the parked hash. Returns the
 * time, the state as a flat list, and for each key: what lies there, when it expires, whether it is parked. 0 stands for
 * nothing, 1 for something of another type.
 */
export const examineScript = script(
  ' flags=no-writes,allow-oom',
  `
local time = redis.call('TIME')
local seen = {time[1] .. string.format('%06d', time[2]), redis.call('HGETALL', KEYS[1])}
local parked = redis.call('HLEN', KEYS[2]) > 0
for i = 1, #ARGV, 3 do
  local key = ARGV[i]
  local value
  if ARGV[i + 1] == 'hash' then
    value = redis.pcall('HGETALL', key)
    if value.err then value = 1 elseif #value == 0 then value = 0 end
  else
    value = redis.pcall('GET', key)
    if type(value) == 'table' then value = 1 elseif not value then value = 0 end
  end
  seen[#seen + 1] = value
  seen[#seen + 1] = value == 0 and -1 or redis.call('PEXPIRETIME', key)
  seen[#seen + 1] = parked and redis.call('HEXISTS', KEYS[2], ARGV[i + 2]) or 0
end
return seen
`,
);

/** Those of KEYS that are there. A scan for them would walk over every row. */
export const heldScript = script(
  ' flags=no-writes,allow-oom',
  `
local held = {}
for _, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 then held[#held + 1] = key end
end
return held
`,
);

/** KEYS: a key that nobody uses. Every command that the other scripts call, once: proves the rights and leaves nothing. */
export const checkScript = script(
  '',
  `
local key = KEYS[1]
redis.call('DEL', key)
redis.call('SET', key, '', 'PXAT', 1)
redis.call('MSET', key, '')
redis.call('GET', key)
redis.call('DEL', key)
redis.call('HSET', key, 'a', '', 'b', '')
redis.call('HGET', key, 'a')
redis.call('HGETALL', key)
redis.call('HKEYS', key)
redis.call('HDEL', key, 'a')
redis.call('PEXPIREAT', key, 1)
redis.call('EXISTS', key)
redis.call('TYPE', key)
redis.call('MGET', key)
redis.call('PEXPIRETIME', key)
redis.call('HEXISTS', key, 'a')
redis.call('HLEN', key)
redis.call('TIME')
return redis.call('DEL', key)
`,
);

/** As `run`, with bytes for text in the answer. */
export async function runForBytes(
  client: Redis,
  { sha, text }: Script,
  keys: readonly string[],
  args: readonly (string | Buffer | number)[],
): Promise<unknown> {
  try {
    return await client.callBuffer('EVALSHA', sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return await client.callBuffer('EVAL', text, keys.length, ...keys, ...args);
  }
}

/** Runs by its hash; a server that was restarted or failed over learns the text again. */
export async function run(
  client: Redis,
  wanted: Script,
  keys: readonly string[],
  args: readonly (string | Buffer | number)[],
): Promise<unknown> {
  try {
    return await client.evalsha(wanted.sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return await client.eval(wanted.text, keys.length, ...keys, ...args);
  }
}

/** The same with a reply of bytes. */
export async function runBuffer(
  client: Redis,
  wanted: Script,
  keys: readonly string[],
  args: readonly (string | Buffer | number)[],
): Promise<unknown> {
  try {
    return await client.callBuffer('EVALSHA', wanted.sha, String(keys.length), ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return await client.callBuffer('EVAL', wanted.text, String(keys.length), ...keys, ...args);
  }
}
