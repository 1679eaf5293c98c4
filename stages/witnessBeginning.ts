/**
 * Where the witness begins: at the end of the binary log as it is when tables are installed, before any copy begins; later
 * at its own position. Where that is lost, at the end as it is then, with every table made due for a copy behind it.
 */
import { randomUUID } from 'node:crypto';
import type { Config } from '../core/config.js';
import { LockstepError } from '../core/errors.js';
import { readBinlogEnd, readBinlogFacts, type BinlogEnd } from '../stores/mysql/binlogFacts.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { readCopies, requestCopy } from '../stores/mysql/copies.js';
import { forgetPlaces, recordEscape } from '../stores/mysql/escapes.js';
import { readCapturedTables } from '../stores/mysql/state.js';
import { boundedInTransaction } from './witnessHeal.js';
import { moveWitness, readWitness, type Expected, type WitnessPosition } from '../stores/mysql/witnessState.js';

/** `all`: the triggers of every captured table stand. `none`: they are yet to be made, and the log will tell. */
export async function beginAt(mysql: Mysql, serverUuid: string, triggers: 'all' | 'none'): Promise<WitnessPosition> {
  const end = await endOfLog(mysql);
  if (end === null) throw new LockstepError('LS-MYSQL-PRIVILEGE', 'the end of the binary log cannot be read');
  const expected = triggers === 'all' ? await standing(mysql) : new Map<number, string>();
  const position = { file: end.file, offset: end.offset, serverUuid, fileMadeAt: null, expected, seenAt: null };
  await forgetPlaces(mysql, mysql.config.stateDatabase);
  await moveWitness(mysql, mysql.config.stateDatabase, position, 'starting');
  return position;
}

/** On a connection of its own, which has what rights were granted last. */
async function endOfLog(mysql: Mysql): Promise<BinlogEnd | null> {
  const session = await mysql.session();
  try {
    return await readBinlogEnd(session);
  } finally {
    session.destroy();
  }
}

/** Tables whose triggers are not in place yet wait for their copy. */
async function standing(mysql: Mysql): Promise<Expected> {
  const { stateDatabase } = mysql.config;
  const copies = new Map((await readCopies(mysql, stateDatabase)).map((copy) => [copy.tableId, copy.phase]));
  const tables = await readCapturedTables(mysql, stateDatabase);
  return new Map(tables.flatMap(({ id }) => (copies.get(id) === 'waiting' ? [] : [[id, 'iud'] as const])));
}

/**
 * At install, before any table is due for a copy: nothing that escapes later is missed. A position on this server stays. On
 * another one every table is copied again.
 */
export async function rememberBeginning(mysql: Mysql, { witness }: Pick<Config, 'witness'>): Promise<void> {
  if (witness === false) return;
  const { serverUuid } = await readBinlogFacts(mysql);
  const known = (await readWitness(mysql, mysql.config.stateDatabase))?.position ?? null;
  if (known?.serverUuid === serverUuid || (await endOfLog(mysql)) === null) return;
  const captured = await readCapturedTables(mysql, mysql.config.stateDatabase);
  await beginAt(mysql, serverUuid, captured.length === 0 ? 'none' : 'all');
}

/** Nobody can tell what escaped: every table is copied, from behind the place where the witness goes on. */
export async function loseBinlog({ mysql }: { readonly mysql: Mysql }): Promise<void> {
  const { stateDatabase } = mysql.config;
  const end = await endOfLog(mysql);
  if (end === null) throw new LockstepError('LS-MYSQL-PRIVILEGE', 'the end of the binary log cannot be read');
  const { serverUuid } = await readBinlogFacts(mysql);
  const expected = await standing(mysql);
  const position = { file: end.file, offset: end.offset, serverUuid, fileMadeAt: null, expected, seenAt: null };
  const session = await mysql.session(boundedInTransaction);
  try {
    await session.transaction(async (queries) => {
      await forgetPlaces(queries, stateDatabase);
      for (const { id } of await readCapturedTables(queries, stateDatabase)) {
        await requestCopy(queries, stateDatabase, { tableId: id, run: randomUUID(), reason: 'escaped' });
        const found = [{ keys: null, place: end }];
        const wish = { tableId: id, cause: 'binlog-lost', found, healing: 'copy', again: false } as const;
        await recordEscape(queries, stateDatabase, wish);
      }
      await moveWitness(queries, stateDatabase, position);
    });
  } finally {
    session.destroy();
  }
}
