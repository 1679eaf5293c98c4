import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { aptOptions, debianSuite, findMirror } from '../../temporal-compose/debian.js';
import { composeEnvironment, describeTrouble, projectName } from '../../temporal-compose/compose.js';
import { parseContainers } from '../../temporal-compose/docker.js';
import { packageRoot } from '../../temporal-compose/place.js';
import { makeSecrets } from '../../temporal-compose/secrets.js';
import { usualPorts } from '../../temporal-compose/server-name.js';
import { kafkaConfiguration } from '../../temporal-compose/servers/kafka.js';
import { mongoArguments } from '../../temporal-compose/servers/mongo.js';
import { firstStatements, mysqlArguments } from '../../temporal-compose/servers/mysql.js';
import { redisConfiguration } from '../../temporal-compose/servers/redis.js';
import { temporalArguments } from '../../temporal-compose/servers/temporal.js';
import { describeStack } from '../../temporal-compose/stack.js';

const secrets = makeSecrets(randomBytes);

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly ports: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly volumes?: readonly string[];
  readonly tmpfs?: string | readonly string[];
}
const composeText = readFileSync(join(packageRoot(), 'temporal-compose', 'docker-compose.yml'), 'utf8');
const { services } = parse(composeText) as { services: Readonly<Record<string, Service>> };
const service = (name: string): Service => services[name]!;

describe('secrets', () => {
  test('need no escaping in a URI, in SQL or in a configuration', () => {
    for (const password of [secrets.mysql, secrets.mongo, secrets.redis]) {
      expect(password).toMatch(/^[\w-]{32}$/);
      expect(encodeURIComponent(password)).toBe(password);
    }
    expect(secrets.mongoKey).toMatch(/^[A-Za-z0-9+/=]+$/);
  });

  test('are different each time, and never a cluster id that Kafka refuses', () => {
    expect(makeSecrets(randomBytes).mysql).not.toBe(secrets.mysql);
    for (let first = 0; first < 256; first++) {
      const made = makeSecrets((bytes) => Buffer.alloc(bytes, first));
      expect(made.kafkaCluster).toMatch(/^[A-Za-z0-9][\w-]{21}$/);
    }
  });

  test('stand in no argument: other users of the machine see those', () => {
    const text = [
      ...mysqlArguments('/data', 1),
      ...mongoArguments(1),
      ...temporalArguments(1, 2),
      kafkaConfiguration(usualPorts),
    ].join(' ');
    for (const secret of [secrets.mysql, secrets.mongo, secrets.redis, secrets.mongoKey]) {
      expect(text).not.toContain(secret);
    }
    expect(firstStatements(secrets.mysql)).toContain(secrets.mysql);
    expect(redisConfiguration(6379, secrets.redis)).toContain(`requirepass ${secrets.redis}\n`);
  });
});

describe('every server listens on the loopback address only', () => {
  test.each([
    ['MySQL', mysqlArguments('/data', 3306), '--bind-address=127.0.0.1'],
    ['MongoDB', mongoArguments(27017), '--bind_ip=127.0.0.1'],
    ['Redis', redisConfiguration(6379, 'x').split('\n'), 'bind 127.0.0.1'],
    [
      'Kafka',
      kafkaConfiguration(usualPorts).split('\n'),
      'listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093',
    ],
    ['Temporal', temporalArguments(7233, 8233), '--ip=127.0.0.1'],
    ['Temporal web UI', temporalArguments(7233, 8233), '--ui-ip=127.0.0.1'],
  ])('%s', (_name, lines, expected) => {
    expect(lines).toContain(expected);
  });

  test('in containers too', () => {
    for (const { ports } of Object.values(services)) {
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\$\{\w+:-\d+\}:/);
    }
  });
});

describe('docker-compose.yml', () => {
  test('has the five servers', () => {
    expect(Object.keys(services).toSorted()).toEqual(['kafka', 'mongo', 'mysql', 'redis', 'temporal']);
  });

  test('gives MySQL the settings it has natively', () => {
    const places = ['--datadir', '--socket', '--pid-file', '--port', '--bind-address', '--secure-file-priv'];
    const native = mysqlArguments('/data', 3306).filter((argument) => !places.includes(argument.split('=')[0]!));
    expect(service('mysql').command?.toSorted()).toEqual(native.toSorted());
  });

  test('gives Kafka the settings it has natively', () => {
    const environment = service('kafka').environment ?? {};
    const addresses = ['listeners', 'advertised.listeners', 'controller.quorum.voters', 'log.dirs'];
    for (const line of kafkaConfiguration(usualPorts).trim().split('\n')) {
      const [name, value] = line.split('=') as [string, string];
      if (addresses.includes(name)) continue;
      expect(`${name}=${environment[`KAFKA_${name.replaceAll('.', '_').toUpperCase()}`]}`).toBe(`${name}=${value}`);
    }
  });

  test('gives MongoDB and Redis the settings they have natively', () => {
    expect(service('mongo').command).toContain('--replSet=rs0');
    const script = service('redis').command?.at(-1) ?? '';
    for (const line of ['save ""', 'appendonly no', 'maxmemory-policy noeviction']) {
      expect(redisConfiguration(6379, 'x').split('\n')).toContain(line);
      expect(script).toContain(`\\n${line}\\n`);
    }
  });

  test('registers the search attributes that the native server has', () => {
    const attributes = temporalArguments(7233, 8233).filter((argument) => argument.startsWith('--search-attribute'));
    expect(attributes).toHaveLength(3);
    expect(service('temporal').command).toEqual(expect.arrayContaining(attributes));
  });

  test('asks for nothing that the environment file does not hold, and repeats no secret', () => {
    const names = [...composeText.matchAll(/(?<!\$)\$\{(\w+)/g)].map((match) => match[1]);
    const environment = composeEnvironment(usualPorts, secrets);
    const given = environment.split('\n').map((line) => line.split('=')[0]);
    expect(given).toEqual(expect.arrayContaining(names));
    expect(environment).not.toMatch(/[$"'\\ #]/);
  });

  // As the images' Dockerfiles declare them. One that is not named here leaves a volume without a name behind at each `down`.
  test.each([
    ['mysql', ['/var/lib/mysql']],
    ['mongo', ['/data/db', '/data/configdb']],
    ['redis', ['/data']],
    ['kafka', ['/etc/kafka/secrets', '/var/lib/kafka/data', '/mnt/shared/config']],
    ['temporal', []],
  ])('names every volume of the image of %s', (name, declared) => {
    const { volumes = [], tmpfs = [] } = service(name);
    const places = [...volumes.map((volume) => volume.split(':')[1]), ...[tmpfs].flat()];
    expect(places).toEqual(expect.arrayContaining(declared));
  });

  test('fills a volume of MySQL anew unless it was filled to the end', () => {
    const script = service('mysql').entrypoint?.[2] ?? '';
    expect(script.indexOf('-delete')).toBeLessThan(script.indexOf('docker-entrypoint.sh'));
    expect(script).toContain('/docker-entrypoint-initdb.d/');
  });

  test('has no server without a password on a published port, not even while a volume is filled', () => {
    expect(Object.keys(service('mongo').environment ?? {})).toEqual(['REPLICA_SET_KEY']);
    expect(service('mongo').command).toContain('--keyFile=/data/configdb/replica-set.key');
  });

  test('gets a project of its own for each state folder', () => {
    expect(projectName('/a/.lockstep')).toMatch(/^lockstep-[0-9a-f]{10}$/);
    expect(projectName('/a/.lockstep')).not.toBe(projectName('/b/.lockstep'));
  });
});

describe('what the engine says', () => {
  test.each([
    [
      'the client of Docker 20',
      'docker ended with 1\n    Client:\n     Context: default\n    \n    Server:\n    ERROR: Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?\n    errors pretty printing info',
      'Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?',
    ],
    [
      'the client of Docker 28',
      'docker ended with 1\n    Client:\n     Version: 28.2.2\n    \n    Server:\n    permission denied while trying to connect to the Docker daemon socket at unix:///x',
      'permission denied while trying to connect to the Docker daemon socket at unix:///x',
    ],
    ['no client', 'docker cannot be run: no such program', 'docker cannot be run: no such program'],
  ])('is told in one line: %s', (_name, message, line) => {
    expect(describeTrouble(new Error(message))).toBe(line);
  });

  test('of containers: ours, by server', () => {
    const text = 'mysql running\nkafka exited\nsomething running\n\nredis\n';
    expect([...parseContainers(text)]).toEqual([
      ['mysql', 'running'],
      ['kafka', 'exited'],
    ]);
    expect(parseContainers('').size).toBe(0);
  });
});

test('addresses are given with administrator rights', () => {
  const stack = describeStack(usualPorts, secrets);
  expect(stack.kafka).toEqual({ brokers: ['127.0.0.1:9092'] });
  expect(stack.temporal).toEqual({ address: '127.0.0.1:7233', namespace: 'default', ui: 'http://127.0.0.1:8233' });
  expect(new URL(stack.mysql.uri)).toMatchObject({ username: 'root', password: secrets.mysql, host: '127.0.0.1:3306' });
  expect(new URL(stack.mongo.uri).searchParams.get('replicaSet')).toBe('rs0');
  expect(new URL(stack.redis.uri)).toMatchObject({ username: '', password: secrets.redis });
});

describe('Debian packages', () => {
  test.each([
    ['new style', 'Types: deb\nURIs: http://mirror.test/debian\nSuites: bookworm\n', 'http://mirror.test/debian'],
    ['old style', 'deb http://mirror.test/debian/ bookworm main\n', 'http://mirror.test/debian'],
    ['old style with options', 'deb [arch=amd64] https://m.test/debian bookworm main\n', 'https://m.test/debian'],
    ['security alone', 'deb http://m.test/debian-security bookworm-security main\n', 'http://deb.debian.org/debian'],
    ['Ubuntu', 'deb http://archive.ubuntu.com/ubuntu noble main\n', 'http://deb.debian.org/debian'],
    ['a comment', '# deb http://mirror.test/debian bookworm main\n', 'http://deb.debian.org/debian'],
  ])('mirror: %s', (_name, sources, expected) => {
    expect(findMirror(sources)).toBe(expected);
  });

  test('suite: of Debian, not of its relatives', () => {
    expect(debianSuite('ID=debian\nVERSION_CODENAME=bookworm\n')).toBe('bookworm');
    expect(debianSuite('ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n')).toBeUndefined();
    expect(debianSuite('')).toBeUndefined();
  });

  test('apt touches nothing of the machine', () => {
    const options = aptOptions('/x', '/x/sources');
    expect(options).toContain('Dir::State::status=/x/status');
    expect(options).toContain('Dir::Etc::sourceparts=/dev/null');
    expect(options.filter((option) => option.includes('/var/'))).toEqual([]);
  });
});
