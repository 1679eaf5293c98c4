/**
 * What makes a pipeline this one and no other: its source, its names and its stores. Stands in the workflow's memo, so
 * that a second pipeline of the same name, or a worker with another configuration, is told apart by name.
 * Hosts, databases and prefixes only: no user, no password.
 */
import type { Config } from './config.js';
import { configuredStores } from './config.js';

/** Setting → value, both fit to print. */
export type PipelineIdentity = Readonly<Record<string, string>>;

export function pipelineIdentity(config: Config): PipelineIdentity {
  return {
    'mysql.uri': hostsOf(config.mysql.uri),
    'mysql.database': config.mysql.database,
    'mysql.stateDatabase': config.mysql.stateDatabase,
    'kafka.topicPrefix': config.kafka.topicPrefix,
    stores: configuredStores(config).join(','),
    ...(config.mongo === null
      ? {}
      : { 'mongo.uri': hostsOf(config.mongo.uri), 'mongo.database': config.mongo.database }),
    ...(config.redis === null
      ? {}
      : { 'redis.uri': hostsOf(config.redis.uri), 'redis.keyPrefix': config.redis.keyPrefix }),
    'apply.shards': String(config.apply.shards),
  };
}

/** Each setting that differs, as `name: running … , here …`; empty when both are the same pipeline. */
export function identityDifferences(running: PipelineIdentity, here: PipelineIdentity): readonly string[] {
  const names = [...new Set([...Object.keys(running), ...Object.keys(here)])].toSorted();
  return names
    .filter((name) => running[name] !== here[name])
    .map((name) => `${name}: running ${running[name] ?? 'none'}, here ${here[name] ?? 'none'}`);
}

/** Host part of a URI without user, password, path and options; several hosts (MongoDB) stay as they are written. */
function hostsOf(uri: string): string {
  const afterScheme = uri.replace(/^[a-z+]+:\/\//i, '');
  const authority = afterScheme.split(/[/?#]/, 1)[0] ?? '';
  return authority.slice(authority.lastIndexOf('@') + 1).toLowerCase();
}
