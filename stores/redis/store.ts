/**
 * Redis as a store: one string or hash a row, one state hash and one hash of parked keys a shard. Data and position are
 * always one script call, so a reader sees a batch whole or not at all.
 */
import type { Redis } from 'ioredis';
import type { RedisConfig } from '../../core/config.js';
import type { Definition } from '../../core/definition.js';
import { LockstepError } from '../../core/errors.js';
import type {
  ApplyOutcome,
  Batch,
  Content,
  Entries,
  EventVerdict,
  Expected,
  ExpectedEvent,
  Found,
  Held,
  Holding,
  Ownership,
  ParkedKey,
  Retaken,
  RowVerdict,
  ShardState,
  Sight,
  SourceRow,
  Store,
  Target,
} from '../../core/store.js';
import type { Disagreement, TableForm, Unprepared } from '../../core/tableForm.js';
import { argumentBytes, openRedis, redisError } from './client.js';
import { inspectTables } from './inspect.js';
import { compareRows, readAtOnce, verdict } from './contents.js';
import { readEntries, scanAll, scanKeys } from './keys.js';
import { examine, examineAtMost, judge } from './examine.js';
import { redisStateKey } from '../../core/names.js';
import { OwnedShard, parkedOf } from './shard.js';
import { createScript, heldScript, raiseScript, repositionScript, run } from './scripts.js';
import {
  claimKey,
  fieldMap,
  fieldsOf,
  mostShards,
  parkedHashKey,
  progressFields,
  stateKey,
  stateOf,
} from './shardState.js';

export function openRedisStore(config: RedisConfig, pipeline: string): Store {
  return new RedisStore(openRedis(config, pipeline), config.keyPrefix, pipeline);
}

class RedisStore implements Store {
  readonly name = 'redis';
  /** About 1 ms a script; calls are pipelined, and carried out one after the other. */
  readonly limits = { events: 500, bytes: 1024 * 1024, inFlight: 4 };
  readonly #client: Redis;
  readonly #prefix: string;
  readonly #pipeline: string;
  readonly #owned = new Map<number, OwnedShard>();

  constructor(client: Redis, prefix: string, pipeline: string) {
    this.#client = client;
    this.#prefix = prefix;
    this.#pipeline = pipeline;
  }

  async takeOver(shard: number): Promise<Ownership> {
    const taken = await this.#raise(shard, 'inf');
    if (taken.kind === 'fenced') throw new LockstepError('LS-INTERNAL', 'an epoch above infinity');
    return taken;
  }

  async retake(shard: number, epoch: number): Promise<Retaken> {
    return await this.#raise(shard, String(epoch));
  }

  async initialise(shard: number, state: ShardState): Promise<Ownership> {
    const fields = ['epoch', '1', ...fieldsOf(state), ...progressFields(state.progress)];
    const keys = [stateKey(this.#prefix, shard), claimKey(this.#prefix)];
    try {
      const said = String(await run(this.#client, createScript, keys, [this.#pipeline, ...fields]));
      if (said.startsWith('claimed:')) throw claimed(this.#prefix, said.slice('claimed:'.length));
      if (said === 'there') return { kind: 'empty' };
      return await this.#own(shard, 1, state);
    } catch (error) {
      throw redisError(error, 'create the position');
    }
  }

  async apply(shard: number, epoch: number, batch: Batch): Promise<ApplyOutcome> {
    return await this.#shard(shard, epoch).apply(batch);
  }

  async reposition(shard: number, epoch: number, to: Omit<ShardState, 'progress'>): Promise<boolean> {
    try {
      const args = [String(epoch), ...fieldsOf(to)];
      return (await run(this.#client, repositionScript, [stateKey(this.#prefix, shard)], args)) === 'done';
    } catch (error) {
      throw redisError(error, 'move the position');
    }
  }

  async look(shard: number, epoch: number): Promise<Holding> {
    try {
      const found = await this.#client.hget(stateKey(this.#prefix, shard), 'epoch');
      if (found === null) return { kind: 'lost' };
      if (Number(found) === epoch) return { kind: 'held' };
      return { kind: Number(found) > epoch ? 'fenced' : 'stale' };
    } catch (error) {
      throw redisError(error, 'look at the position');
    }
  }

  async readState(shard: number): Promise<(ShardState & { readonly epoch: number }) | null> {
    try {
      const fields = await this.#client.hgetall(stateKey(this.#prefix, shard));
      return fields['epoch'] === undefined ? null : stateOf(new Map(Object.entries(fields)));
    } catch (error) {
      throw redisError(error, 'read the position');
    }
  }

  async parkedKeys(limit: number): Promise<readonly ParkedKey[]> {
    try {
      const keys = Array.from({ length: mostShards }, (_, shard) => parkedHashKey(this.#prefix, shard));
      const held = await run(this.#client, heldScript, keys, []);
      const parked: ParkedKey[] = [];
      for (const key of held as readonly string[]) {
        const found = await this.#client.hgetall(key);
        for (const [name, text] of Object.entries(found)) parked.push(parkedOf(name, text));
        if (parked.length >= limit) break;
      }
      return parked.slice(0, limit);
    } catch (error) {
      throw redisError(error, 'read the parked keys');
    }
  }

  async *scanKeys(target: Target, definition: Definition): AsyncIterable<readonly string[]> {
    try {
      yield* scanKeys(this.#client, this.#prefix, target, definition);
    } catch (error) {
      throw redisError(error, `read the keys of table ${target.table}`);
    }
  }

  async compareRows(
    target: Target,
    definition: Definition,
    rows: readonly SourceRow[],
  ): Promise<readonly RowVerdict[]> {
    try {
      return await compareRows(this.#client, this.#prefix, target, definition, rows);
    } catch (error) {
      throw redisError(error, `compare table ${target.table}`);
    }
  }

  /** A keyspace has no order. */
  compareRange(): Promise<null> {
    return Promise.resolve(null);
  }

  async read(target: Target, definition: Definition, keys: readonly Buffer[], shards: number): Promise<Held> {
    try {
      return await readAtOnce(this.#client, this.#prefix, target, definition, keys, shards);
    } catch (error) {
      throw redisError(error, `read keys of table ${target.table}`);
    }
  }

  text(bytes: Buffer): string {
    return bytes.toString();
  }

  judge(target: Target, definition: Definition, content: Content, expected: Expected): RowVerdict {
    return verdict(target, definition, content, expected);
  }

  async entries(
    tables: readonly { readonly target: Target; readonly definition: Definition }[],
    from: string | null,
    options: { readonly limit: number; readonly everything: boolean },
  ): Promise<Entries> {
    try {
      return await readEntries(this.#client, this.#prefix, tables, from, options);
    } catch (error) {
      throw redisError(error, 'read the keys');
    }
  }

  readonly examineAtMost = examineAtMost;

  async examine(shard: number, keys: readonly ExpectedEvent[]): Promise<Sight> {
    try {
      return await examine(this.#client, this.#prefix, shard, keys);
    } catch (error) {
      throw redisError(error, 'look at what was applied');
    }
  }

  judgeEvent(expected: ExpectedEvent, found: Found, at: number): EventVerdict {
    return judge(expected, found, at);
  }

  /** Redis knows nothing of tables. */
  prepareTables(): Promise<readonly Unprepared[]> {
    return Promise.resolve([]);
  }

  async inspectTables(tables: readonly TableForm[], samples: number): Promise<readonly Disagreement[]> {
    try {
      return await inspectTables(this.#client, this.#prefix, tables, samples);
    } catch (error) {
      throw redisError(error, 'look at keys of the tables');
    }
  }

  async dismiss(shard: number): Promise<void> {
    try {
      this.#owned.delete(shard);
      await this.#client.del(stateKey(this.#prefix, shard), parkedHashKey(this.#prefix, shard));
    } catch (error) {
      throw redisError(error, "remove a shard's state");
    }
  }

  async forget(): Promise<void> {
    try {
      for await (const keys of scanAll(this.#client, redisStateKey(this.#prefix, ''), '*')) {
        if (keys.length > 0) await this.#client.del(...keys);
      }
    } catch (error) {
      throw redisError(error, "remove the pipeline's state");
    }
  }

  close(): Promise<void> {
    this.#client.disconnect();
    return Promise.resolve();
  }

  async #raise(shard: number, atMost: string): Promise<Retaken> {
    try {
      const said = await run(this.#client, raiseScript, [stateKey(this.#prefix, shard)], [atMost]);
      if (said === null) return { kind: 'empty' };
      if (said === 'fenced') return { kind: 'fenced' };
      const { epoch, ...state } = stateOf(fieldMap(said as unknown[]));
      return await this.#own(shard, epoch, state);
    } catch (error) {
      throw redisError(error, 'take over the position');
    }
  }

  async #own(shard: number, epoch: number, state: ShardState): Promise<Extract<Ownership, { kind: 'owned' }>> {
    const parked = Object.keys(await this.#client.hgetall(parkedHashKey(this.#prefix, shard)));
    const mostBytes = await argumentBytes(this.#client);
    this.#owned.set(shard, new OwnedShard(this.#client, this.#prefix, shard, epoch, { parked, mostBytes }));
    return { kind: 'owned', epoch, state };
  }

  #shard(shard: number, epoch: number): OwnedShard {
    const owned = this.#owned.get(shard);
    if (owned?.epoch !== epoch) {
      throw new LockstepError('LS-INTERNAL', `shard ${shard} is not owned under epoch ${epoch} in this process`);
    }
    return owned;
  }
}

export function claimed(prefix: string, owner: string): LockstepError {
  return new LockstepError('LS-STORE-CLAIMED', `Redis keys ${prefix}:* belong to the pipeline ${owner}`, {
    details: { owner },
  });
}
