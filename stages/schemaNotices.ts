/**
 * What the history of the tables has not got yet: the source as it is now against what was recorded last. Deciding is pure;
 * each notice is recorded in a transaction of its own, before anything follows from it.
 */
import type { Config } from '../core/config.js';
import { definitionHash, type Definition } from '../core/definition.js';
import { codeOf } from '../core/errors.js';
import { diffDefinitions, type SchemaChange } from '../core/schemaChange.js';
import { policyOf, type Consequence } from '../core/schemaPolicy.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { recordChange, type Notice } from '../stores/mysql/schemaHistory.js';
import { isOurName, writesTo } from '../stores/mysql/triggers.js';
import { mustHold, type Source, type TablePlan } from './tablePlan.js';

export interface NoticeOf extends Notice {
  /** Recorded although the definition is what stands there. */
  readonly again: boolean;
}

/** `firstTime`: the pipeline is being installed; tables are found, not created. */
export function noticesOf(
  source: Source,
  plan: TablePlan,
  config: Pick<Config, 'schema' | 'overrides' | 'mysql'>,
  firstTime: boolean,
): readonly NoticeOf[] {
  const renamed = renamedTables(source, config.mysql.stateDatabase);
  return [
    ...plan.selected.flatMap((definition) => noticeOfTable(source, plan, definition, config, renamed, firstTime) ?? []),
    ...goneTables(source, plan, config, renamed),
  ];
}

/** Returns how many were recorded. What stands in the way for a moment is noticed again at the next look. */
export async function recordNotices(mysql: Mysql, notices: readonly NoticeOf[]): Promise<number> {
  let recorded = 0;
  for (const notice of notices) {
    try {
      if ((await recordChange(mysql, notice, notice.again)) !== null) recorded += 1;
    } catch (error) {
      const code = codeOf(error);
      if (code !== 'LS-MYSQL-LOCK-WAIT' && code !== 'LS-MYSQL-DEADLOCK') throw error;
    }
  }
  return recorded;
}

function noticeOfTable(
  source: Source,
  plan: TablePlan,
  definition: Definition,
  config: Pick<Config, 'schema' | 'overrides'>,
  renamed: ReadonlyMap<string, string>,
  firstTime: boolean,
): NoticeOf | null {
  const { table } = definition;
  const policy = policyOf(table, config);
  const captured = source.captured.find(({ name }) => name === table);
  const known = source.schemas.get(table);
  const work = plan.work.find((entry) => entry.definition.table === table);
  const common = { table, tableId: captured?.id ?? 0, after: definition, policy };
  const copy: Consequence = (work?.copy ?? null) === null ? 'none' : 'copy';
  if (known === undefined) {
    const from = renamed.get(table);
    const change: SchemaChange =
      from !== undefined
        ? { kind: 'table-renamed', from, to: table }
        : { kind: firstTime || captured !== undefined ? 'table-captured' : 'table-created' };
    return { ...common, before: null, changes: [change], consequence: copy, again: false };
  }
  // Its triggers went with the table that stood under this name; while its copy waits for them, that is known.
  const gap = work?.copy === 'trigger-gap' && captured !== undefined && !source.waiting.has(captured.id);
  const missing: readonly SchemaChange[] = gap ? [{ kind: 'triggers-missing' }] : [];
  const same = known.definition === definitionHash(definition);
  if (same && !gap) return null;
  const before = known.definition === null ? undefined : source.definitions.get(known.definition);
  const changes = same || before === undefined ? missing : [...diffDefinitions(before, definition), ...missing];
  const holds = !same && before !== undefined && mustHold(before, definition, policy);
  const consequence = holds ? 'paused' : policy === 'ignore' && copy === 'none' ? 'ignored' : copy;
  return { ...common, before: known.definition, changes, consequence, again: same };
}

function goneTables(
  source: Source,
  plan: TablePlan,
  config: Pick<Config, 'schema' | 'overrides'>,
  renamed: ReadonlyMap<string, string>,
): readonly NoticeOf[] {
  const selected = new Set(plan.selected.map(({ table }) => table));
  const leftOut = new Map(plan.leftOut.map(({ table, explanation }) => [table, explanation]));
  const newNames = new Map([...renamed].map(([to, from]) => [from, to]));
  return [...source.schemas].flatMap(([table, { definition }]) => {
    if (selected.has(table)) return [];
    const reason = leftOut.get(table);
    const to = newNames.get(table);
    const change: SchemaChange =
      reason !== undefined
        ? { kind: 'table-left-out', reason }
        : to !== undefined
          ? { kind: 'table-renamed', from: table, to }
          : { kind: 'table-dropped' };
    const tableId = source.captured.find(({ name }) => name === table)?.id ?? 0;
    return [
      {
        table,
        tableId,
        before: definition,
        after: null,
        changes: [change],
        policy: policyOf(table, config),
        consequence: 'forgotten' as const,
        again: false,
      },
    ];
  });
}

/** New name → old name: triggers go with their table and carry the id it was captured under. */
function renamedTables(source: Source, stateDatabase: string): ReadonlyMap<string, string> {
  const there = new Set(source.tables.map(({ definition }) => definition.table));
  const gone = new Map(
    source.captured.filter(({ name }) => !there.has(name)).map(({ id, name }) => [String(id), name]),
  );
  const found = new Map(source.renamedEarly);
  if (gone.size === 0) return found;
  for (const [table, triggers] of source.triggers) {
    for (const { name, body } of triggers) {
      const from = gone.get(name.split('_')[1] ?? '');
      if (from !== undefined && isOurName(name) && writesTo(body, stateDatabase)) found.set(table, from);
    }
  }
  return found;
}
