/** Install, and the wish for a copy: what the pipeline writes into MySQL besides its streams. */
import { randomUUID } from 'node:crypto';
import { Context } from '@temporalio/activity';
import { LockstepError } from '../core/errors.js';
import type { PipelineIdentity } from '../core/pipelineIdentity.js';
import { install, type InstallDeps } from '../stages/install.js';
import { settleShards } from '../stages/shards.js';
import type { Store } from '../core/store.js';
import { requestCopy } from '../stores/mysql/copies.js';
import { releaseHeld } from '../stores/mysql/schemaHistory.js';
import { readCapturedTables } from '../stores/mysql/state.js';
import type { ControlActivities } from './contract.js';
import { failingCleanly, refuseAnotherPipeline } from './run.js';

export interface InstallActivityDeps extends InstallDeps {
  readonly identity: PipelineIdentity;
  readonly stores: readonly Store[];
}

export function installActivities(
  deps: InstallActivityDeps,
): Pick<ControlActivities, 'install' | 'requestCopies' | 'releaseTables'> {
  return {
    install: (scope) =>
      failingCleanly(async () => {
        refuseAnotherPipeline(scope.identity, deps.identity);
        const context = Context.current();
        // Waiting for a table's metadata lock takes longer than a heartbeat may be missing.
        const beating = setInterval(() => context.heartbeat(), 1_000);
        try {
          const { tables, held } = await install(deps);
          await settleShards(deps);
          return { tables: tables.map(({ name }) => name), ...(held.length === 0 ? {} : { held }) };
        } finally {
          clearInterval(beating);
        }
      }),
    requestCopies: (scope, tables) =>
      failingCleanly(async () => {
        refuseAnotherPipeline(scope.identity, deps.identity);
        await requestCopies(deps, tables);
      }),
    releaseTables: (scope, tables) =>
      failingCleanly(async () => {
        refuseAnotherPipeline(scope.identity, deps.identity);
        await releaseHeld(deps.mysql, deps.mysql.config.stateDatabase, tables);
      }),
  };
}

async function requestCopies({ mysql }: InstallDeps, tables: readonly string[] | null): Promise<void> {
  const { stateDatabase } = mysql.config;
  const captured = await readCapturedTables(mysql, stateDatabase);
  const unknown = (tables ?? []).filter((table) => !captured.some(({ name }) => name === table));
  if (unknown.length > 0) {
    throw new LockstepError('LS-TABLE-UNKNOWN', `not captured: ${unknown.join(', ')}`, {
      details: { tables: unknown },
    });
  }
  await mysql.transaction(async (queries) => {
    for (const { id, name } of captured) {
      if (tables !== null && !tables.includes(name)) continue;
      await requestCopy(queries, stateDatabase, { tableId: id, run: randomUUID(), reason: 'asked' });
    }
  });
}
