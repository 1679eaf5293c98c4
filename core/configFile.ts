/**
 * lockstep.yaml → Config. The file is judged as a whole: every mistake in one error, each with its path, its line, what is
 * wrong and what is allowed. A value that may be a secret is never part of a message.
 */
import { z } from 'zod';
import type { Config } from './config.js';
import {
  checkForms,
  checkOverrideShapes,
  formNames,
  refuseJsonValues,
  schemaSection,
  type Tell,
} from './configOverrides.js';
import { isOff, kafkaSection, mongoSection, mysqlSection, redisSection, temporalSection } from './configServers.js';
import {
  alreadyTold,
  duration,
  flag,
  group,
  integer,
  list,
  matching,
  onOrOff,
  share,
  size,
  text,
} from './configScalars.js';
import { readConfigText, type ConfigText, type Mistake, type Outside } from './configText.js';
import { validateSection } from './configValidate.js';
import { LockstepError } from './errors.js';
import { editDistance, nearest } from './suggest.js';

export type { Mistake, Outside } from './configText.js';

const patterns = list(text('table names, * for any characters'), "table names, * for any characters, such as ['*']");

const sections = {
  pipeline: matching(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'a-z, 0-9 and - inside, at most 63'),
  mysql: mysqlSection,
  kafka: kafkaSection,
  mongo: mongoSection,
  redis: redisSection,
  temporal: temporalSection.prefault({}),
  tables: group({ include: patterns.prefault(['*']), exclude: patterns.prefault([]) }).prefault({}),
  schema: schemaSection,
  changeLog: group({ maxBytes: size(16 * 1024 ** 2, 1024 ** 5, 'at least 16MB').default(10 * 1024 ** 3) }).prefault({}),
  capture: group({ batchRows: integer(1, 10_000).default(2_000) }).prefault({}),
  apply: group({ shards: integer(1, 64).default(1) }).prefault({}),
  witness: onOrOff().default(true),
  snapshot: group({
    chunkTime: duration(1, 1_000, 'at most 1s').default(50),
    maxBacklogRows: integer(1_000, 100_000_000).default(20_000),
    parallel: integer(1, 32).default(2),
  }).prefault({}),
  validate: validateSection.prefault({}),
  resync: group({ automatic: flag().default(true) }).prefault({}),
  verify: group({ sample: share().default(1), repair: flag().default(true) }).prefault({}),
};

/** Every name that may stand at the top of the file. */
const topLevel = [...Object.keys(sections), ...formNames, 'overrides'];

/** Throws LS-CONFIG-INVALID with every mistake. `file` is only named in messages. */
export function parseConfig(content: string, file: string, outside: Outside): Config {
  const read = readConfigText(content, outside);
  const mistakes: Mistake[] = [...read.mistakes];
  const config = mistakes.some((m) => m.path === '') ? undefined : checkFile(read, mistakes);
  if (config === undefined || mistakes.length > 0) throw invalidConfig(file, mistakes);
  return config;
}

export function invalidConfig(file: string, mistakes: readonly Mistake[]): LockstepError {
  const inOrder = [...mistakes].sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
  const lines = inOrder.map(
    ({ line, path, problem }) =>
      `${line === undefined ? '' : `line ${line}: `}${path === '' ? 'the file' : path} ${problem}`,
  );
  const count = lines.length === 1 ? 'a mistake' : `${lines.length} mistakes`;
  return new LockstepError('LS-CONFIG-INVALID', `${file} has ${count}:\n  ${lines.join('\n  ')}`, {
    details: { file, mistakes: lines },
  });
}

function checkFile(read: ConfigText, mistakes: Mistake[]): Config | undefined {
  const root = read.value;
  if (typeof root !== 'object' || root === null || Array.isArray(root)) {
    mistakes.push({
      path: '',
      problem: `is ${root === null ? 'empty' : 'no group of settings'}; allowed: ${topLevel.join(', ')}`,
    });
    return undefined;
  }
  const raw = root as Readonly<Record<string, unknown>>;
  const tell = (path: string, problem: string): void => {
    const line = read.lineOf(path) ?? read.lineOf(path.split(/[.[]/)[0] ?? '');
    mistakes.push({ path, problem, ...(line === undefined ? {} : { line }) });
  };
  const check = <T>(schema: z.ZodType<T>, value: unknown, path: string): T | undefined => {
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    for (const issue of result.error.issues) tellIssue(issue, path, value, read, tell);
    return undefined;
  };

  for (const key of Object.keys(raw)) {
    if (!topLevel.includes(key)) tell(key, unknownSetting(key, topLevel, ''));
  }
  const offMongo = isOff(raw['mongo']);
  const offRedis = isOff(raw['redis']);
  if (offMongo && offRedis) tell('redis', 'is off, and mongo too; allowed: one of them off');

  const pipeline = check(sections.pipeline, raw['pipeline'], 'pipeline');
  const mysql = check(sections.mysql, raw['mysql'], 'mysql');
  const kafka = check(sections.kafka, raw['kafka'], 'kafka');
  const mongo = offMongo ? null : check(sections.mongo, raw['mongo'], 'mongo');
  const redis = offRedis ? null : check(sections.redis, raw['redis'], 'redis');
  const temporal = check(sections.temporal, raw['temporal'] ?? undefined, 'temporal');
  const tables = check(sections.tables, raw['tables'] ?? undefined, 'tables');
  const overrides = checkOverrideShapes(raw['overrides'], check, tell);
  const chosenForms = checkForms(raw, check);
  const schema = check(sections.schema, raw['schema'] ?? undefined, 'schema');
  const changeLog = check(sections.changeLog, raw['changeLog'] ?? undefined, 'changeLog');
  const capture = check(sections.capture, raw['capture'] ?? undefined, 'capture');
  const apply = check(sections.apply, raw['apply'] ?? undefined, 'apply');
  const witness = check(sections.witness, raw['witness'] ?? undefined, 'witness');
  const snapshot = check(sections.snapshot, raw['snapshot'] ?? undefined, 'snapshot');
  const validate = check(sections.validate, raw['validate'] ?? undefined, 'validate');
  const resync = check(sections.resync, raw['resync'] ?? undefined, 'resync');
  const verify = isOff(raw['verify'])
    ? { sample: 0, repair: false }
    : check(sections.verify, raw['verify'] ?? undefined, 'verify');

  if (tables?.include.length === 0)
    tell('tables.include', "is empty; allowed: at least one name or pattern, such as ['*']");
  if (kafka && apply && apply.shards > kafka.partitions) {
    tell('apply.shards', `is above kafka.partitions; allowed: from 1 to ${kafka.partitions}`);
  }
  const mongoDatabase = mongo === null ? null : (mongo?.database ?? mysql?.database);
  if (mongo && mysql && mongo.database === undefined) checkDefaultDatabase(mysql.database, mongo.stateDatabase, tell);
  if (kafka?.envelope === 'schema') refuseJsonValues(chosenForms, overrides, tell);
  if (!pipeline || !mysql || !kafka || mongo === undefined || redis === undefined || !temporal || !tables)
    return undefined;
  if (
    !overrides ||
    !chosenForms ||
    !schema ||
    !changeLog ||
    !capture ||
    !apply ||
    witness === undefined ||
    !snapshot ||
    !validate ||
    !resync ||
    !verify ||
    mongoDatabase === undefined
  )
    return undefined;
  const { chunkTime, ...copies } = snapshot;
  return {
    pipeline,
    mysql,
    kafka: { ...kafka, topicPrefix: kafka.topicPrefix ?? pipeline },
    mongo: mongo === null || mongoDatabase === null ? null : { ...mongo, database: mongoDatabase },
    redis: redis === null ? null : { ...redis, keyPrefix: redis.keyPrefix ?? pipeline },
    temporal,
    tables,
    overrides,
    forms: kafka.envelope === 'schema' ? { json: 'string', ...chosenForms } : chosenForms,
    schema,
    changeLog,
    capture,
    apply,
    witness,
    snapshot: { chunkMs: chunkTime, ...copies },
    validate,
    resync,
    verify,
  };
}

function checkDefaultDatabase(name: string, stateDatabase: string, tell: Tell): void {
  if (
    /[/\\. "$*<>:|?]/.test(name) ||
    Buffer.byteLength(name) > 63 ||
    name.toLowerCase() === stateDatabase.toLowerCase()
  ) {
    tell('mongo.database', 'is missing, and the name of the MySQL database cannot be used there; allowed: give one');
  }
}

function tellIssue(issue: z.core.$ZodIssue, base: string, value: unknown, read: ConfigText, tell: Tell): void {
  const path = issue.path.reduce<string>((p, k) => (typeof k === 'number' ? `${p}[${k}]` : `${p}.${String(k)}`), base);
  if (issue.code === 'unrecognized_keys') {
    const known = issue.message.split(' ');
    for (const key of issue.keys) tell(`${path}.${key}`, unknownSetting(key, known, path));
    return;
  }
  if (issue.message === alreadyTold) return;
  const at = issue.path.reduce<unknown>(
    (v, k) => (typeof v === 'object' && v !== null ? Reflect.get(v, k) : undefined),
    value,
  );
  const shown =
    issue.code === 'custom' && isShowable(path, at) && !read.fromOutside(path) ? `${JSON.stringify(at)} ` : '';
  tell(path, shown + issue.message);
}

/** Whether a message may quote the value: a scalar, short, and nothing that anyone could have put a secret into. */
function isShowable(path: string, value: unknown): boolean {
  if (/(?:^|\.)(?:uri|user|username|password|apiKey|ca|cert|key|crt|auth|sasl)(?:\.|$)|password/i.test(path))
    return false;
  return (
    (typeof value === 'string' && value.length <= 60 && value !== '' && !/[@\n]/.test(value)) ||
    typeof value === 'number'
  );
}

/** What other clients call it. */
const otherNames: Readonly<Record<string, string>> = {
  'mysql.tls': 'ssl',
  'mysql.username': 'user',
  'mysql.database': 'uri, which names the database after the slash',
  'kafka.tls': 'ssl',
  'kafka.retentionMs': 'retention',
  'mongo.ssl': 'tls',
  'mongo.user': 'auth.username',
  'mongo.username': 'auth.username',
  'mongo.password': 'auth.password',
  'redis.ssl': 'tls',
  'redis.user': 'username',
  'snapshot.chunkMs': 'chunkTime',
};

function unknownSetting(key: string, known: readonly string[], group: string): string {
  const meant = otherNames[`${group}.${key}`] ?? nearest(key, known);
  const suggestion = meant === undefined ? '' : ` (did you mean ${meant}?)`;
  const byNearness = known.toSorted((a, b) => editDistance(key, a) - editDistance(key, b) || a.localeCompare(b));
  return `is no setting${suggestion}; allowed: ${(known.length > 24 ? byNearness.slice(0, 24) : known).join(', ')}`;
}
