/**
 * Kafka Connect with sinks of other projects, as released to Maven Central: whoever reads Debezium's format must be able to
 * read our topics. One standalone worker for all of a test's connectors; its jars lie in the cache beside the servers'.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { obtain } from '../../temporal-compose/cache.js';
import { runFetch } from '../../temporal-compose/command.js';
import { cacheFolder } from '../../temporal-compose/place.js';
import { Progress } from '../../temporal-compose/progress.js';
import { findProgram, requireTool } from '../../temporal-compose/tool.js';
import { freePort } from './ports.js';

const artifacts = [
  'org.apache.kafka:connect-runtime:4.3.0',
  'org.mongodb.kafka:mongo-kafka-connect:2.0.1',
  'io.debezium:debezium-core:3.4.0.Final',
  'org.slf4j:slf4j-simple:1.7.36',
] as const;

/** Undefined where the test can run; else why not. */
export function connectMissing(): string | undefined {
  if (findProgram('java') === undefined) return 'there is no java';
  const fetched = existsSync(join(cacheFolder(), folderName));
  return fetched || findProgram('mvn') !== undefined ? undefined : 'there is no mvn to fetch Kafka Connect';
}

const folderName = `connect-${artifacts.map((name) => name.split(':')[2]).join('-')}`;

async function libraries(): Promise<string> {
  const report = (line: string): void => void process.stderr.write(`${line}\n`);
  const shelf = { cache: cacheFolder(), progress: new Progress(report), signal: AbortSignal.timeout(600_000) };
  const what = 'fetching Kafka Connect and two of its readers from Maven Central (41 MB, about 15 s)';
  const folder = await obtain(shelf, 'connect', folderName, what, async (draft, running) => {
    const maven = await requireTool({ program: 'mvn', apt: 'maven', why: '' }, shelf.progress, shelf.signal);
    const project = join(draft, 'pom.xml');
    await writeFile(project, pom());
    const output = `-DoutputDirectory=${join(draft, 'libs')}`;
    await runFetch([maven, '-q', '-B', '-f', project, 'dependency:copy-dependencies', output], running);
  });
  return join(folder, 'libs');
}

function pom(): string {
  const dependencies = artifacts.map((coordinates) => {
    const [group, artifact, version] = coordinates.split(':');
    return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
  });
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>lockstep</groupId><artifactId>connect</artifactId><version>1</version>
  <dependencies>${dependencies.join('\n')}</dependencies>
</project>
`;
}

export interface Connect {
  /** What it wrote so far. */
  log(): string;
  running(): boolean;
  stop(): Promise<void>;
}

/** connectors: their properties, by name. */
export async function startConnect(
  brokers: readonly string[],
  connectors: Readonly<Record<string, Readonly<Record<string, string>>>>,
): Promise<Connect> {
  const jars = await libraries();
  const folder = await mkdtemp(join(tmpdir(), 'lockstep-connect-'));
  const worker = {
    'bootstrap.servers': brokers.join(','),
    'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'offset.storage.file.filename': join(folder, 'offsets'),
    listeners: `http://127.0.0.1:${await freePort()}`,
    // Every reader of ours reads committed.
    'consumer.isolation.level': 'read_committed',
    'consumer.auto.offset.reset': 'earliest',
  };
  const files = [join(folder, 'worker.properties')];
  await writeFile(files[0]!, properties(worker));
  for (const [name, settings] of Object.entries(connectors)) {
    const file = join(folder, `${name}.properties`);
    await writeFile(file, properties({ name, ...settings }), { mode: 0o600 });
    files.push(file);
  }
  const options = [
    '-Xmx384m',
    '-XX:TieredStopAtLevel=1',
    '-XX:+UseSerialGC',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  ];
  const main = 'org.apache.kafka.connect.cli.ConnectStandalone';
  const child = spawn('java', [...options, '-cp', join(jars, '*'), main, ...files], { cwd: folder });
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (log += chunk.toString('utf8')));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    log: () => log,
    running: () => child.exitCode === null && child.signalCode === null,
    async stop() {
      child.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function properties(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value.replaceAll('\\', '\\\\')}\n`)
    .join('');
}
