/** Statements on meta, tables and definitions: whose state this is and what it captures. */
import { definitionHash, canonicalDefinition, parseDefinition } from '../../core/definition.js';
import type { Definition, DefinitionHash } from '../../core/definition.js';
import { asBytes, asCount, asText, asTextOrNull } from './cell.js';
import type { Mysql, Queries } from './connection.js';
import { errorNumber } from './failure.js';
import { quoteTable } from './quote.js';

export interface Meta {
  readonly pipeline: string;
  readonly sourceDatabase: string;
  readonly topicPrefix: string;
  readonly serverUuid: string;
  /** Null until capture first writes. */
  readonly incarnation: string | null;
}

export interface CapturedTable {
  readonly id: number;
  readonly name: string;
  /** What the installed triggers cite. */
  readonly definition: DefinitionHash;
}

/** Null where nothing was installed yet. */
export async function readMeta(queries: Queries, stateDatabase: string): Promise<Meta | null> {
  const rows = await ifInstalled(() =>
    queries.rows(
      `SELECT pipeline, source_database, topic_prefix, server_uuid, incarnation FROM ${quoteTable(stateDatabase, 'meta')}`,
    ),
  );
  const row = rows?.[0];
  if (row === undefined) return null;
  return {
    pipeline: asText(row[0]),
    sourceDatabase: asText(row[1]),
    topicPrefix: asText(row[2]),
    serverUuid: asText(row[3]),
    incarnation: asTextOrNull(row[4] ?? null),
  };
}

/** The first to claim the state keeps it: returns what stands there afterwards. */
export async function claimMeta(mysql: Mysql, claim: Omit<Meta, 'incarnation'>): Promise<Meta | null> {
  await mysql.run(
    `INSERT INTO ${quoteTable(mysql.config.stateDatabase, 'meta')} (id, pipeline, source_database, topic_prefix, server_uuid)
     VALUES (1, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE id = id`,
    [claim.pipeline, claim.sourceDatabase, claim.topicPrefix, claim.serverUuid],
  );
  return readMeta(mysql, mysql.config.stateDatabase);
}

export async function adoptServer(queries: Queries, stateDatabase: string, serverUuid: string): Promise<void> {
  await queries.run(`UPDATE ${quoteTable(stateDatabase, 'meta')} SET server_uuid = ?`, [serverUuid]);
}

/** Tables that are captured now, by name; empty where nothing was installed yet. */
export async function readCapturedTables(queries: Queries, stateDatabase: string): Promise<readonly CapturedTable[]> {
  const rows = await ifInstalled(() =>
    queries.rows(
      `SELECT id, name, HEX(definition) FROM ${quoteTable(stateDatabase, 'tables')} WHERE removed_at IS NULL ORDER BY name`,
    ),
  );
  return (rows ?? []).map((row) => ({
    id: asCount(row[0]),
    name: asText(row[1]),
    definition: asText(row[2]).toLowerCase(),
  }));
}

export interface KnownTable extends CapturedTable {
  /** Not captured any more: dropped, or left out by the configuration. */
  readonly removed: boolean;
}

/** Tables that are or ever were captured, by name. */
export async function readKnownTables(queries: Queries, stateDatabase: string): Promise<readonly KnownTable[]> {
  const rows = await ifInstalled(() =>
    queries.rows(
      `SELECT id, name, HEX(definition), removed_at IS NOT NULL FROM ${quoteTable(stateDatabase, 'tables')} ORDER BY name`,
    ),
  );
  return (rows ?? []).map((row) => ({
    id: asCount(row[0]),
    name: asText(row[1]),
    definition: asText(row[2]).toLowerCase(),
    removed: asCount(row[3]) === 1,
  }));
}

/**
 * Gives the table its id, the same as ever if it was captured before, and commits the definition that triggers will cite.
 * `before`: what they cited last.
 */
export async function recordTable(
  queries: Queries,
  stateDatabase: string,
  definition: Definition,
): Promise<{ readonly id: number; readonly cameBack: boolean; readonly before: Definition | null }> {
  const hash = Buffer.from(definitionHash(definition), 'hex');
  const tables = quoteTable(stateDatabase, 'tables');
  const [before] = await queries.rows(`SELECT removed_at IS NOT NULL, HEX(definition) FROM ${tables} WHERE name = ?`, [
    definition.table,
  ]);
  await queries.run(
    `INSERT INTO ${tables} (name, definition) VALUES (?, ?) ON DUPLICATE KEY UPDATE removed_at = NULL`,
    [definition.table, hash],
  );
  const [row] = await queries.rows(`SELECT id FROM ${tables} WHERE name = ?`, [definition.table]);
  const id = asCount(row?.[0]);
  await queries.run(
    `INSERT INTO ${quoteTable(stateDatabase, 'definitions')} (hash, table_id, definition) VALUES (?, ?, ?) AS new
     ON DUPLICATE KEY UPDATE table_id = new.table_id`,
    [hash, id, canonicalDefinition(definition)],
  );
  return {
    id,
    cameBack: asCount(before?.[0] ?? 0) === 1,
    before: before === undefined ? null : await readDefinition(queries, stateDatabase, asText(before[1]).toLowerCase()),
  };
}

/** Once the triggers in place cite it. */
export async function useDefinition(
  queries: Queries,
  stateDatabase: string,
  id: number,
  hash: DefinitionHash,
): Promise<void> {
  await queries.run(`UPDATE ${quoteTable(stateDatabase, 'tables')} SET definition = ? WHERE id = ?`, [
    Buffer.from(hash, 'hex'),
    id,
  ]);
}

/** One that was captured, and is not any more; null for every other name. */
export async function readRemovedTable(
  queries: Queries,
  stateDatabase: string,
  name: string,
): Promise<CapturedTable | null> {
  const [row] = await queries.rows(
    `SELECT id, HEX(definition) FROM ${quoteTable(stateDatabase, 'tables')} WHERE name = ? AND removed_at IS NOT NULL`,
    [name],
  );
  return row === undefined ? null : { id: asCount(row[0]), name, definition: asText(row[1]).toLowerCase() };
}

/** The id stays: rows of the change log may still name it. */
export async function removeTable(queries: Queries, stateDatabase: string, id: number): Promise<void> {
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'tables')} SET removed_at = CURRENT_TIMESTAMP(6) WHERE id = ?`,
    [id],
  );
  for (const table of ['copies', 'skipped']) {
    await queries.run(`DELETE FROM ${quoteTable(stateDatabase, table)} WHERE table_id = ?`, [id]);
  }
}

export async function readDefinition(
  queries: Queries,
  stateDatabase: string,
  hash: DefinitionHash,
): Promise<Definition | null> {
  const rows = await queries.rows(`SELECT definition FROM ${quoteTable(stateDatabase, 'definitions')} WHERE hash = ?`, [
    Buffer.from(hash, 'hex'),
  ]);
  const row = rows[0];
  return row === undefined ? null : parseDefinition(asText(row[0]));
}

/** Those of the named ones that are recorded. */
export async function readDefinitionsOf(
  queries: Queries,
  stateDatabase: string,
  hashes: readonly DefinitionHash[],
): Promise<ReadonlyMap<DefinitionHash, Definition>> {
  if (hashes.length === 0) return new Map();
  const rows = await queries.rows(
    `SELECT hash, definition FROM ${quoteTable(stateDatabase, 'definitions')} WHERE hash IN (?)`,
    [hashes.map((hash) => Buffer.from(hash, 'hex'))],
  );
  return new Map(rows.map((row) => [asBytes(row[0]).toString('hex'), parseDefinition(asText(row[1]))]));
}

export interface StoredDefinition {
  readonly hash: DefinitionHash;
  readonly tableId: number;
  readonly definition: Definition;
}

export async function readDefinitions(queries: Queries, stateDatabase: string): Promise<readonly StoredDefinition[]> {
  const rows = await queries.rows(
    `SELECT hash, table_id, definition FROM ${quoteTable(stateDatabase, 'definitions')} ORDER BY created_at`,
  );
  return rows.map((row) => ({
    hash: asBytes(row[0]).toString('hex'),
    tableId: asCount(row[1]),
    definition: parseDefinition(asText(row[2])),
  }));
}

/** Undefined when the database or the table is not there. */
async function ifInstalled<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (errorNumber(error) === 1049 || errorNumber(error) === 1146) return undefined;
    throw error;
  }
}
