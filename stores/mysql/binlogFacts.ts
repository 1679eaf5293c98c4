/** What the server must offer for its binary log to be read and held against the triggers. */
import type { Config } from '../../core/config.js';
import { LockstepError } from '../../core/errors.js';
import { warning, type Problem } from '../../core/problem.js';
import { asCount, asText, asTextOrNull } from './cell.js';
import { openSession, type Queries } from './connection.js';
import type { BinlogPlace } from './binlogStream.js';
import { hasGlobal, readGrants, type Grants } from './grants.js';
import { errorNumber } from './failure.js';

export interface BinlogFacts {
  readonly serverUuid: string;
  readonly account: string;
  readonly on: boolean;
  readonly format: string;
  readonly rowImage: string;
  readonly partialJson: boolean;
  /** Whether events end in a checksum, the first ones of a stream included. */
  readonly checksums: boolean;
  /** From 9.6 on MySQL logs cascaded rows, unless innodb_native_foreign_keys is on. */
  readonly cascadesLogged: boolean;
  /** Where rows of cascades fire triggers: they do not escape. */
  readonly cascadesFire: boolean;
  readonly grants: Grants;
}

export async function readBinlogFacts(queries: Queries): Promise<BinlogFacts> {
  const rows = await queries.rows(
    `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', 'binlog_row_image', 'binlog_row_value_options', 'binlog_checksum',
       'innodb_native_foreign_keys', 'enable_cascade_triggers')`,
  );
  const variables = new Map(rows.map((row) => [asText(row[0]), asTextOrNull(row[1] ?? null) ?? '']));
  const [server] = await queries.rows('SELECT @@server_uuid, CURRENT_USER()');
  const isOn = (name: string): boolean => /^(?:ON|1)$/i.test(variables.get(name) ?? '');
  return {
    serverUuid: asText(server?.[0]),
    account: asText(server?.[1]),
    on: isOn('log_bin'),
    format: variables.get('binlog_format') ?? 'ROW',
    rowImage: variables.get('binlog_row_image') ?? 'FULL',
    checksums: variables.get('binlog_checksum') === 'CRC32',
    partialJson: /PARTIAL_JSON/i.test(variables.get('binlog_row_value_options') ?? ''),
    cascadesLogged: variables.has('innodb_native_foreign_keys') && !isOn('innodb_native_foreign_keys'),
    cascadesFire: isOn('enable_cascade_triggers'),
    grants: await readGrants(queries),
  };
}

export interface Hindrance {
  readonly reason: string;
  readonly fix: string;
}

/** What keeps the witness from watching; empty when nothing does. Pure. */
export function hindrances(facts: BinlogFacts): readonly Hindrance[] {
  const found: Hindrance[] = [];
  if (!facts.on) {
    return [{ reason: 'the server writes no binary log', fix: 'Start mysqld with --log-bin.' }];
  }
  if (facts.format !== 'ROW') {
    found.push({ reason: `binlog_format is ${facts.format}`, fix: 'SET PERSIST binlog_format = ROW;' });
  }
  if (facts.rowImage !== 'FULL') {
    found.push({ reason: `binlog_row_image is ${facts.rowImage}`, fix: 'SET PERSIST binlog_row_image = FULL;' });
  }
  if (facts.partialJson) {
    found.push({
      reason: 'binlog_row_value_options is PARTIAL_JSON',
      fix: "SET PERSIST binlog_row_value_options = '';",
    });
  }
  const missing = ['REPLICATION SLAVE', 'REPLICATION CLIENT'].filter((right) => !hasGlobal(facts.grants, right));
  if (missing.length > 0) {
    found.push({
      reason: `${facts.account} lacks ${missing.join(' and ')}`,
      fix: `GRANT ${missing.join(', ')} ON *.* TO ${quotedAccount(facts.account)};`,
    });
  }
  return found;
}

function quotedAccount(account: string): string {
  const at = account.lastIndexOf('@');
  return [account.slice(0, at), account.slice(at + 1)].map((part) => `'${part.replaceAll("'", "''")}'`).join('@');
}

export interface BinlogEnd extends BinlogPlace {
  /** Databases whose changes the server leaves out of its log, or the only ones that it logs. */
  readonly ignoreDatabases: readonly string[];
  readonly doDatabases: readonly string[];
}

/** For `doctor`: without the witness a pipeline runs, with less than it could have. */
export async function checkWitness({ mysql, witness }: Pick<Config, 'mysql' | 'witness'>): Promise<readonly Problem[]> {
  if (witness === false) return [];
  let session;
  try {
    session = await openSession(mysql);
  } catch (error) {
    // The check of MySQL itself says so.
    if (error instanceof LockstepError) return [];
    throw error;
  }
  try {
    return hindrances(await readBinlogFacts(session)).map(({ reason, fix }) =>
      warning(
        'LS-WITNESS-STANDS-DOWN',
        `the witness would stand down, and what escapes the triggers be found by sweeps alone: ${reason}`,
        fix,
      ),
    );
  } finally {
    session.destroy();
  }
}

/** Where the binary log ends now. Null without REPLICATION CLIENT or without a log. */
export async function readBinlogEnd(queries: Queries): Promise<BinlogEnd | null> {
  try {
    const [row] = await queries.rows('SHOW BINARY LOG STATUS');
    if (row === undefined) return null;
    const names = (cell: string | null): readonly string[] => (cell ?? '').split(',').filter((name) => name !== '');
    return {
      file: asText(row[0]),
      offset: asCount(row[1]),
      doDatabases: names(asTextOrNull(row[2] ?? null)),
      ignoreDatabases: names(asTextOrNull(row[3] ?? null)),
    };
  } catch (error) {
    // Access denied; binary log off.
    if ([1227, 1381].includes(errorNumber(error))) return null;
    throw error;
  }
}
