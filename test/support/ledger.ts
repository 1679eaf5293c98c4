/**
 * What committed, written by MySQL itself: triggers of the test's own on the captured tables and on the change log fill
 * a database that lockstep does not know, in the application's transaction. A rollback takes the entry with it.
 */
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { SourceTable } from './source.js';

export interface LedgerEntry {
  readonly seq: number;
  readonly identity: string;
  readonly op: string;
  readonly key: string;
  /** Before- and after-image are the same bytes: capture publishes nothing. */
  readonly noop: boolean;
}

export interface Ledger {
  /** Every committed row of the change log, by seq. */
  entries(): Promise<LedgerEntry[]>;
  /** Committed row changes by `table op`, counted apart from the change log; a key change is one d and one c. */
  rowChanges(): Promise<Map<string, number>>;
  drop(): Promise<void>;
}

/** `root`: a connection with every right. Tables and change log exist already. */
export async function createLedger(
  root: Connection,
  database: string,
  stateDatabase: string,
  tables: readonly SourceTable[],
): Promise<Ledger> {
  const ledger = `${database}_ledger`;
  await root.query(`CREATE DATABASE \`${ledger}\``);
  await root.query(`CREATE TABLE \`${ledger}\`.seqs (n BIGINT AUTO_INCREMENT PRIMARY KEY, seq BIGINT UNSIGNED NOT NULL,
    identity BINARY(8) NOT NULL, op CHAR(1) NOT NULL, k LONGBLOB NULL, noop BOOL NOT NULL)`);
  await root.query(`CREATE TABLE \`${ledger}\`.changes (n BIGINT AUTO_INCREMENT PRIMARY KEY, t VARCHAR(64) NOT NULL,
    op CHAR(1) NOT NULL)`);
  for (const table of tables) await addTableTriggers(root, database, ledger, table);
  await root.query(`CREATE TRIGGER \`${stateDatabase}\`.test_ledger AFTER INSERT ON \`${stateDatabase}\`.change_log
    FOR EACH ROW INSERT INTO \`${ledger}\`.seqs (seq, identity, op, k, noop)
    VALUES (NEW.seq, NEW.identity, NEW.op, NEW.\`key\`, NEW.op = 'u' AND NEW.\`before\` <=> NEW.\`after\`)`);
  return {
    async entries() {
      const [rows] = await root.query<RowDataPacket[]>(
        `SELECT seq, LOWER(HEX(identity)) identity, op, CONVERT(k USING utf8mb4) k, noop FROM \`${ledger}\`.seqs ORDER BY seq`,
      );
      return rows.map((row) => ({
        seq: Number(row['seq']),
        identity: String(row['identity']),
        op: String(row['op']),
        key: String(row['k']),
        noop: Number(row['noop']) === 1,
      }));
    },
    async rowChanges() {
      const [rows] = await root.query<RowDataPacket[]>(
        `SELECT t, op, COUNT(*) n FROM \`${ledger}\`.changes GROUP BY t, op`,
      );
      return new Map(rows.map((row) => [`${String(row['t'])} ${String(row['op'])}`, Number(row['n'])]));
    },
    async drop() {
      await root.query(`DROP TRIGGER IF EXISTS \`${stateDatabase}\`.test_ledger`);
      for (const table of tables) {
        for (const event of ['i', 'u', 'd']) {
          await root.query(`DROP TRIGGER IF EXISTS \`${database}\`.\`ledger_${table.name}_${event}\``);
        }
      }
      await root.query(`DROP DATABASE IF EXISTS \`${ledger}\``);
    },
  };
}

async function addTableTriggers(root: Connection, database: string, ledger: string, table: SourceTable): Promise<void> {
  const name = (event: string): string => `\`${database}\`.\`ledger_${table.name}_${event}\``;
  const on = `ON \`${database}\`.\`${table.name}\` FOR EACH ROW`;
  const literal = `'${table.name}'`;
  const sameKey = table.key.map((k) => `BINARY OLD.\`${k}\` = BINARY NEW.\`${k}\``).join(' AND ');
  const log = (ops: string): string => `INSERT INTO \`${ledger}\`.changes (t, op) ${ops}`;
  await root.query(`CREATE TRIGGER ${name('i')} AFTER INSERT ${on} ${log(`VALUES (${literal}, 'c')`)}`);
  await root.query(`CREATE TRIGGER ${name('d')} AFTER DELETE ${on} ${log(`VALUES (${literal}, 'd')`)}`);
  await root.query(`CREATE TRIGGER ${name('u')} AFTER UPDATE ${on} IF ${sameKey} THEN ${log(`VALUES (${literal}, 'u')`)};
    ELSE ${log(`VALUES (${literal}, 'd'), (${literal}, 'c')`)}; END IF`);
}
