/** Kafka as the stack runs it: one KRaft node that is broker and controller; topics come into being only when asked for. */
import { realpathSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { LockstepError } from '../../core/errors.js';
import { obtain } from '../cache.js';
import { type CommandLine, run, runFetch, type RunOptions } from '../command.js';
import type { Launch } from '../launch.js';
import type { Progress } from '../progress.js';
import type { Program, Server, Shelf, Site } from '../server.js';
import type { Ports } from '../server-name.js';
import { findProgram, requireTool } from '../tool.js';
import { compareVersions, parseVersion, type Version } from '../version.js';

const release = '4.4.0';
const logger = 'org.slf4j:slf4j-simple:1.7.36';
const why = `It runs Kafka. Otherwise start a Docker engine.`;
const mavenWhy = 'It fetches Kafka 4 from Maven Central. Otherwise put Kafka 4 into PATH, or start a Docker engine.';
const javaTool = { program: 'java', apt: 'default-jre-headless', why };

export function pom(): string {
  const dependency = (coordinates: string): string => {
    const [group, artifact, version] = coordinates.split(':');
    return `    <dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
  };
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>lockstep</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <dependencies>
${[`org.apache.kafka:kafka_2.13:${release}`, logger].map(dependency).join('\n')}
  </dependencies>
</project>
`;
}

/** @param data the data folder, relative to the server's own: a path needs no quoting then. */
export function kafkaConfiguration(ports: Pick<Ports, 'kafka' | 'kafkaController'>, data = 'data'): string {
  const broker = `127.0.0.1:${ports.kafka}`;
  const controller = `127.0.0.1:${ports.kafkaController}`;
  return [
    'process.roles=broker,controller',
    'node.id=1',
    `controller.quorum.voters=1@${controller}`,
    `listeners=PLAINTEXT://${broker},CONTROLLER://${controller}`,
    `advertised.listeners=PLAINTEXT://${broker}`,
    'controller.listener.names=CONTROLLER',
    'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name=PLAINTEXT',
    `log.dirs=${data}`,
    'auto.create.topics.enable=false',
    // A row of MySQL may be as large as its packet; a document of MongoDB ends at 16 MiB, twice over in an envelope.
    'message.max.bytes=33554432',
    'replica.fetch.max.bytes=33554432',
    'offsets.topic.replication.factor=1',
    'offsets.topic.num.partitions=5',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'transaction.state.log.num.partitions=5',
    'share.coordinator.state.topic.replication.factor=1',
    'share.coordinator.state.topic.min.isr=1',
    'share.coordinator.state.topic.num.partitions=1',
    'group.initial.rebalance.delay.ms=0',
    '',
  ].join('\n');
}

async function jarVersion(libraries: string): Promise<Version | undefined> {
  const names = await readdir(libraries).catch(() => []);
  const jar = names.find((name) => /^kafka_2\.\d+-\d[\d.]*\.jar$/.test(name));
  return jar === undefined ? undefined : parseVersion(jar, '-');
}

async function programFrom(libraries: string, origin: string): Promise<Program | undefined> {
  const version = await jarVersion(libraries);
  return version === undefined ? undefined : { command: ['java', '-cp', join(libraries, '*')], version, origin };
}

async function isJava17(java: string): Promise<boolean> {
  const text = (await run([java, '-version'])).all;
  // A release without a minor number ("21") is followed by a quote.
  const version = parseVersion(text, 'version "') ?? [Number(/version "(\d+)/.exec(text)?.[1] ?? 0)];
  return compareVersions(version, [17]) >= 0;
}

async function requireJava(progress: Progress, signal: AbortSignal): Promise<string> {
  return await requireTool(javaTool, progress, signal, isJava17);
}

export const kafka: Server = {
  name: 'kafka',
  ports: ['kafka', 'kafkaController'],
  supported: { from: [3, 9], below: [5] },
  stopGraceMs: 30_000,

  async find() {
    const script = findProgram('kafka-server-start.sh') ?? findProgram('kafka-server-start');
    const java = findProgram('java');
    if (script === undefined || java === undefined || !(await isJava17(java))) return undefined;
    const home = dirname(dirname(realpathSync(script)));
    return (
      (await programFrom(join(home, 'libs'), 'PATH')) ?? (await programFrom(join(home, 'libexec', 'libs'), 'PATH'))
    );
  },

  async fetch(shelf: Shelf) {
    await requireJava(shelf.progress, shelf.signal);
    const what = `fetching Kafka ${release} from Maven Central (54 MB, about 15 s)`;
    const folder = await obtain(shelf, 'kafka', `kafka-${release}`, what, async (draft, running) => {
      const maven = await requireTool({ program: 'mvn', apt: 'maven', why: mavenWhy }, shelf.progress, shelf.signal);
      const project = join(draft, 'pom.xml');
      await writeFile(project, pom());
      await runFetch(
        [maven, '-q', '-B', '-f', project, 'dependency:copy-dependencies', `-DoutputDirectory=${join(draft, 'libs')}`],
        running,
      );
    });
    const program = await programFrom(join(folder, 'libs'), folder);
    if (program === undefined) throw new LockstepError('LS-STACK-FETCH', `${folder} holds no Kafka`);
    return program;
  },

  async initialise(program: Program, site: Site, draft: string, running: RunOptions) {
    const configuration = join(site.folder, 'format.properties');
    await writeFile(configuration, kafkaConfiguration(site.ports, basename(draft)));
    const format: CommandLine = ['kafka.tools.StorageTool', 'format', '-t', site.secrets.kafkaCluster];
    await run([...program.command, ...format, '-c', configuration], { ...running, cwd: site.folder });
  },

  launch(program: Program, site: Site): Launch {
    const [java, ...rest] = program.command;
    const options = [
      '-Xms256m',
      '-Xmx512m',
      // A local stack is young and small. On two cores the second compiler and G1 took 30 to 40 µs of CPU a change for
      // minutes; without them it is 6, and catching up 2.5 times as fast.
      '-XX:TieredStopAtLevel=1',
      '-XX:+UseSerialGC',
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
      '-Dorg.slf4j.simpleLogger.showDateTime=true',
      '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS',
    ];
    return {
      command: [java, ...options, ...rest, 'kafka.Kafka', 'server.properties'],
      cwd: site.folder,
      files: { 'server.properties': kafkaConfiguration(site.ports) },
    };
  },

  async prepare(site: Site) {
    const client = new Kafka({
      clientId: 'lockstep-up',
      brokers: [`127.0.0.1:${site.ports.kafka}`],
      logLevel: logLevel.NOTHING,
      connectionTimeout: 2000,
      requestTimeout: 5000,
      retry: { retries: 0 },
    });
    const admin = client.admin();
    try {
      await admin.connect();
      const cluster = await admin.describeCluster();
      if (cluster.clusterId !== site.secrets.kafkaCluster) throw new Error('another cluster answers on this port');
      if (cluster.brokers.length === 0) throw new Error('the broker has not joined its cluster yet');
      return undefined;
    } finally {
      await admin.disconnect();
    }
  },
};
