/** What the MySQL server says of itself. */
import { asCount, asText, asTextOrNull } from './cell.js';
import type { Queries } from './connection.js';

export interface ServerFacts {
  readonly version: string;
  readonly serverUuid: string;
  /** `user@host` of the account that we are, a trigger's DEFINER. */
  readonly account: string;
  readonly readOnly: boolean;
  readonly binaryLog: boolean;
  readonly binlogFormat: string;
  readonly trustsCreators: boolean;
  /** Group replication with more than one writable member. */
  readonly multiPrimary: boolean;
  /** 2: numbers are drawn without a lock on the table. */
  readonly autoincLockMode: number;
}

export async function readServer(queries: Queries): Promise<ServerFacts> {
  const [row] = await queries.rows(
    `SELECT VERSION(), @@server_uuid, CURRENT_USER(), @@global.read_only OR @@global.super_read_only OR @@global.innodb_read_only,
            @@global.log_bin, @@global.log_bin_trust_function_creators, @@global.innodb_autoinc_lock_mode`,
  );
  const optional = new Map(
    (
      await queries.rows(
        `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('binlog_format', 'group_replication_single_primary_mode', 'group_replication_group_name')`,
      )
    ).map((r) => [asText(r[0]), asTextOrNull(r[1] ?? null) ?? '']),
  );
  return {
    version: asText(row?.[0]),
    serverUuid: asText(row?.[1]),
    account: asText(row?.[2]),
    readOnly: asCount(row?.[3]) === 1,
    binaryLog: asCount(row?.[4]) === 1,
    binlogFormat: optional.get('binlog_format') ?? 'ROW',
    trustsCreators: asCount(row?.[5]) === 1,
    multiPrimary:
      (optional.get('group_replication_group_name') ?? '') !== '' &&
      optional.get('group_replication_single_primary_mode') === 'OFF',
    autoincLockMode: asCount(row?.[6]),
  };
}

/** MySQL 8.4 up to, not including, 10. MariaDB's triggers, JSON and locking reads differ. */
export function isSupportedVersion(version: string): boolean {
  if (/mariadb/i.test(version)) return false;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return (major === 8 && minor >= 4) || major === 9;
}
