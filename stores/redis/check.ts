/** Everything about the Redis side that would stop a pipeline, found before anything is written. */
import type { Config } from '../../core/config.js';
import { problem, problemOf, type Problem } from '../../core/problem.js';
import { hostsOf } from '../../core/uri.js';
import { openRedis, redisError } from './client.js';
import { redisStateKey } from '../../core/names.js';
import { parseInfo } from './info.js';
import { checkScript, run } from './scripts.js';
import { claimKey } from './shardState.js';
import { claimed } from './store.js';

/** Scripts that begin with `#!lua` need it. */
const oldestMajor = 7;

export async function checkRedis(config: Config): Promise<readonly Problem[]> {
  if (config.redis === null) return [];
  const where = hostsOf(config.redis.uri, 6379).join(', ');
  const client = openRedis(config.redis, config.pipeline);
  // One failure is enough to tell; a pipeline would try again for ever.
  let connectError: unknown;
  client.on('error', (error) => (connectError ??= error));
  try {
    await client.connect();
    const problems = infoProblems(parseInfo(await client.info()), where);
    const owner = await client.get(claimKey(config.redis.keyPrefix));
    if (owner !== null && owner !== config.pipeline) {
      return [...problems, problemOf(claimed(config.redis.keyPrefix, owner))];
    }
    if (problems.length > 0) return problems;
    await run(client, checkScript, [redisStateKey(config.redis.keyPrefix, 'check')], []);
    await client.scan('0', 'COUNT', 1);
    return [];
  } catch (error) {
    return [problemOf(redisError(connectError ?? error, `use Redis at ${where}`))];
  } finally {
    client.disconnect();
  }
}

export function infoProblems(info: ReadonlyMap<string, string>, where: string): readonly Problem[] {
  const problems: Problem[] = [];
  const version = info.get('redis_version') ?? '';
  const policy = info.get('maxmemory_policy') ?? '';
  if (Number(version.split('.')[0]) < oldestMajor) {
    problems.push(problem('LS-REDIS-VERSION', `Redis at ${where} is version ${version}`));
  }
  if (info.get('redis_mode') === 'cluster') {
    problems.push(problem('LS-REDIS-CLUSTER', `Redis at ${where} is in cluster mode`));
  }
  if (policy.startsWith('allkeys-')) {
    problems.push(problem('LS-REDIS-EVICTION', `Redis at ${where} has maxmemory-policy ${policy}`));
  }
  if (info.get('role') === 'slave') {
    problems.push(problem('LS-REDIS-WRITE', `Redis at ${where} is a replica`, 'Point redis.uri at the primary.'));
  }
  return problems;
}
