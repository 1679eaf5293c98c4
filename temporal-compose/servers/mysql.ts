/**
 * MySQL as the stack runs it: binary log on, every commit durable (a benchmark without would flatter us), one
 * administrator with a generated password that exists before the first client can connect.
 */
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { obtain } from '../cache.js';
import { type CommandLine, run, type RunOptions } from '../command.js';
import { treeCommand, unpackDebian } from '../debian.js';
import type { Launch } from '../launch.js';
import type { Program, Server, Shelf, Site } from '../server.js';
import { findProgram } from '../tool.js';
import { parseVersion, type Version } from '../version.js';

const suite = 'sid';
const why = 'It unpacks MySQL 9 from Debian. Otherwise put a mysqld 8.4 or 9 into PATH, or start a Docker engine.';
const zones = '/usr/share/zoneinfo';

/** Arguments of every start. Other paths are relative to `data`: a socket's path has at most 107 characters. */
export function mysqlArguments(data: string, port: number): readonly string[] {
  return [
    `--datadir=${data}`,
    '--socket=mysql.sock',
    '--pid-file=mysqld.pid',
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    '--mysqlx=OFF',
    '--secure-file-priv=NULL',
    '--server-id=1',
    '--log-bin=binlog',
    '--binlog-row-image=FULL',
    '--binlog-expire-logs-seconds=86400',
    '--sync-binlog=1',
    '--innodb-flush-log-at-trx-commit=1',
    '--innodb-buffer-pool-size=1G',
    '--innodb-redo-log-capacity=1G',
    '--max-allowed-packet=256M',
    '--max-connections=400',
    '--local-infile=1',
    '--log-bin-trust-function-creators=1',
  ];
}

/** As the official image has it: root by socket and loopback, and by any name the loopback address resolves to. */
export function firstStatements(password: string): string {
  return [
    `ALTER USER 'root'@'localhost' IDENTIFIED BY '${password}';`,
    `CREATE USER 'root'@'%' IDENTIFIED BY '${password}';`,
    `GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' WITH GRANT OPTION;`,
    `GRANT PROXY ON ''@'' TO 'root'@'%' WITH GRANT OPTION;`,
    '',
  ].join('\n');
}

function asRoot(): readonly string[] {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}

async function versionOf(command: CommandLine): Promise<Version | undefined> {
  const text = (await run([...command, '--version'])).all;
  return text.includes('MariaDB') ? undefined : parseVersion(text, 'Ver ');
}

async function fromTree(tree: string): Promise<CommandLine> {
  return [
    ...(await treeCommand(tree, 'usr/sbin/mysqld')),
    '--no-defaults',
    `--basedir=${join(tree, 'usr')}`,
    `--plugin-dir=${join(tree, 'usr/lib/mysql/plugin')}`,
    `--lc-messages-dir=${join(tree, 'usr/share/mysql')}`,
  ];
}

/** Named time zones as SQL, when both the converter and the zones are there; without them only offsets work. */
async function zoneStatements(program: Program, running: RunOptions): Promise<string> {
  const mysqld = program.command.findIndex((part) => basename(part) === 'mysqld');
  const server = program.command[mysqld] ?? '';
  const converter = [dirname(server), join(dirname(dirname(server)), 'bin')]
    .map((folder) => join(folder, 'mysql_tzinfo_to_sql'))
    .find((file) => existsSync(file));
  if (converter === undefined || !existsSync(zones)) return '';
  const [first, ...rest] = [...program.command.slice(0, mysqld), converter, zones];
  // Its five megabytes of SQL are for MySQL, not for a log.
  const { stdout } = await run([first ?? converter, ...rest], { ...running, log: undefined });
  return `USE mysql;\n${stdout}`;
}

export const mysql: Server = {
  name: 'mysql',
  ports: ['mysql'],
  supported: { from: [8, 4], below: [10] },
  stopGraceMs: 60_000,

  async find() {
    const file = findProgram('mysqld');
    if (file === undefined) return undefined;
    const command: CommandLine = [file, '--no-defaults'];
    const version = await versionOf(command);
    return version === undefined ? undefined : { command, version, origin: 'PATH' };
  },

  async fetch(shelf: Shelf) {
    const what = 'fetching MySQL 9 from Debian (60 MB, about 10 s)';
    const tree = await obtain(shelf, 'mysql', `mysql-${suite}`, what, async (draft, running) => {
      await unpackDebian(shelf, running, draft, suite, ['mysql-server-core'], why);
      await run([...(await fromTree(draft)), '--version'], { ...running, failure: 'LS-STACK-FETCH' });
    });
    const command = await fromTree(tree);
    return { command, version: (await versionOf(command)) ?? [], origin: tree };
  },

  async initialise(program: Program, site: Site, draft: string, running: RunOptions) {
    const statements = join(site.folder, 'first.sql');
    await writeFile(statements, firstStatements(site.secrets.mysql) + (await zoneStatements(program, running)), {
      mode: 0o600,
    });
    try {
      await run(
        [...program.command, ...asRoot(), '--initialize-insecure', `--init-file=${statements}`, `--datadir=${draft}`],
        running,
      );
    } finally {
      await rm(statements, { force: true });
    }
  },

  launch(program: Program, site: Site): Launch {
    const own = mysqlArguments(join(site.folder, 'data'), site.ports.mysql);
    return { command: [...program.command, ...asRoot(), ...own], cwd: site.folder };
  },

  async prepare(site: Site) {
    const connection = await createConnection({
      host: '127.0.0.1',
      port: site.ports.mysql,
      user: 'root',
      password: site.secrets.mysql,
      connectTimeout: 2000,
    });
    try {
      const [rows] = await connection.query({ sql: 'SELECT VERSION()', rowsAsArray: true });
      return parseVersion(String((rows as unknown[][])[0]?.[0]));
    } finally {
      connection.destroy();
    }
  },
};
