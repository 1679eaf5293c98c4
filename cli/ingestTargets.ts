/** What an ingest is given before it has a plan: its tables in order, its files, its table or a proposal for one. */
import type { Config } from '../core/config.js';
import { LockstepError } from '../core/errors.js';
import type { Reading } from '../core/ingest.js';
import type { InsertFacts } from '../core/ingestColumns.js';
import { guessKey, type GuessedColumn } from '../core/ingestGuess.js';
import { parentsFirst } from '../core/ingestOrder.js';
import { nearest } from '../core/suggest.js';
import { guessColumns } from '../stages/ingestGuess.js';
import type { PlanTarget } from '../stages/ingestPlan.js';
import { definitionOf } from '../stages/ingestTable.js';
import type { ContentSource } from '../stores/files/content.js';
import { spool } from '../stores/files/spool.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { createTableText } from '../stores/mysql/createTable.js';
import { readTables } from '../stores/mysql/definitions.js';
import { readInsertFacts, readParents } from '../stores/mysql/insertFacts.js';
import { say } from './command.js';
import type { IngestFlags, Target } from './ingestOptions.js';

/** Tables that others name by a foreign key come first. */
export async function inOrder(config: Config, mysql: Mysql, targets: readonly Target[]): Promise<readonly Target[]> {
  if (targets.length === 1) return targets;
  const names = targets.map(({ table }) => table);
  const order = parentsFirst(names, await readParents(mysql, config.mysql.database, names));
  say(`order: ${order.join(', ')}`);
  return [...targets].sort((a, b) => order.indexOf(a.table) - order.indexOf(b.table));
}

/** Standard input becomes a file, so that it can be read twice and from anywhere. */
export async function fetchInput(
  named: readonly string[],
  flags: IngestFlags,
  show: (text: string) => void,
): Promise<readonly string[]> {
  if (!named.includes('-')) return named;
  if (named.filter((name) => name === '-').length > 1) {
    throw new LockstepError('LS-USAGE', 'standard input can be given once only');
  }
  const kept = await spool(process.stdin, flags.spool, (bytes) => {
    show(`keeping standard input in ${flags.spool}: ${(bytes / 1024 ** 2).toFixed(1)} MiB`);
  });
  return named.map((name) => (name === '-' ? kept : name));
}

export interface Proposal {
  readonly sql: string;
  /** For people: the statement, and what looks wrong. */
  readonly words: string;
}

/** Null where the table is there, or --create was not given. */
export async function proposeTable(
  config: Config,
  mysql: Mysql,
  table: string,
  sources: readonly ContentSource[],
  reading: Reading,
  flags: IngestFlags,
): Promise<Proposal | null> {
  if (flags.create !== true) return null;
  const { database } = config.mysql;
  if ((await readTables(mysql, database, table)).length > 0) {
    say(`table ${table} is there already: it is left as it is`);
    return null;
  }
  const columns = await guessColumns(sources, reading, table);
  const sql = createTableText(database, table, columns, guessKey(table, columns, flags.key ?? []));
  return { sql, words: [`${sql};`, ...nullHints(columns)].join('\n') };
}

/** Columns that would be numbers or times but for a text that most often means NULL. */
function nullHints(columns: readonly GuessedColumn[]): readonly string[] {
  const tokens = [...new Set(columns.flatMap(({ nullLooks }) => nullLooks))];
  return tokens.map((token) => {
    const names = columns.filter(({ nullLooks }) => nullLooks.includes(token)).map(({ name }) => name);
    return `${token} keeps ${names.join(', ')} from being ${names.length === 1 ? 'a column' : 'columns'} of another type: does it mean NULL? --null ${token}`;
  });
}

/** The table's definition and what it needs; made first where a proposal was accepted. */
export async function targetTable(
  config: Config,
  mysql: Mysql,
  table: string,
  proposal: Proposal | null,
): Promise<PlanTarget> {
  const { database } = config.mysql;
  if (proposal !== null) {
    await mysql.run(proposal.sql);
    say(`table ${table} was made`);
  } else await refuseMissing(mysql, database, table);
  const definition = await definitionOf(config, mysql)(table);
  const facts: InsertFacts = await readInsertFacts(mysql, database, table);
  return { definition, facts };
}

async function refuseMissing(mysql: Mysql, database: string, table: string): Promise<void> {
  const tables = await readTables(mysql, database);
  const names = tables.map(({ definition }) => definition.table);
  if (names.includes(table)) return;
  const meant = nearest(table, names);
  const hint = meant === undefined ? '' : ` (did you mean ${meant}?)`;
  const message = `there is no table ${table} in database ${database}${hint}: --create proposes one for the file`;
  throw new LockstepError('LS-INGEST-TABLE', message, { details: { table } });
}
