/** One owned shard: what it knows of parked keys, and its batches as script calls, sent without waiting for each other. */
import type { Redis } from 'ioredis';
import { LockstepError } from '../../core/errors.js';
import type { ApplyOutcome, Batch, ParkedKey } from '../../core/store.js';
import { batchArguments, counted, type Argument, type BatchArguments } from './batchArguments.js';
import { redisError } from './client.js';
import { applyDeletesScript, applyScript, run } from './scripts.js';
import { parkedHashKey, stateKey } from './shardState.js';

export class OwnedShard {
  readonly epoch: number;
  readonly #client: Redis;
  readonly #keys: readonly [string, string];
  readonly #prefix: string;
  /** Names (`parkedName`) of what stands parked, batches under way included. */
  readonly #parked: Set<string>;

  /** Bytes of one argument that this server takes. */
  readonly #mostBytes: number;

  constructor(
    client: Redis,
    prefix: string,
    shard: number,
    epoch: number,
    found: { readonly parked: readonly string[]; readonly mostBytes: number },
  ) {
    this.#client = client;
    this.#prefix = prefix;
    this.#mostBytes = found.mostBytes;
    this.epoch = epoch;
    this.#keys = [stateKey(prefix, shard), parkedHashKey(prefix, shard)];
    this.#parked = new Set(found.parked);
  }

  async apply(batch: Batch): Promise<ApplyOutcome> {
    const args = batchArguments(this.#prefix, this.epoch, batch, { mostBytes: this.#mostBytes });
    const parking = args.parked.map((p) => [parkedName(p), JSON.stringify({ reason: p.reason, seq: p.seq })] as const);
    const unparked = this.#unparked(batch, new Set(parking.map(([name]) => name)));
    for (const [name] of parking) this.#parked.add(name);
    const tail = [...counted(parking.length, parking.flat()), ...counted(unparked.length, unparked)];
    // A removal that fails leaves the name in the hash; the owner who comes next reads it there.
    for (const name of unparked) this.#parked.delete(name);
    try {
      const said = await this.#run(args.onlyDeletes, [...args.head, ...args.deletes, ...args.writes, ...tail]);
      return outcomeOf(said, args.parked);
    } catch (error) {
      const failure = redisError(error, 'write a batch');
      if (failure.code === 'LS-REDIS-FULL') await this.#deleteOnly(batch, args);
      throw failure;
    }
  }

  /** Out of memory: what the batch deletes in the end can go ahead of it, the position stays. */
  async #deleteOnly(batch: Batch, args: BatchArguments): Promise<void> {
    if (args.deletes.length <= 1) return;
    const staying = batch.moves.map((move) => ({ ...move, to: move.from }));
    const { head } = batchArguments(
      this.#prefix,
      this.epoch,
      { ...batch, events: [], moves: staying },
      { deletesAhead: true },
    );
    const none = counted(0, []);
    try {
      await this.#run(true, [...head, ...args.deletes, ...none, ...none, ...none, ...none, ...none]);
    } catch (error) {
      throw redisError(error, 'delete while out of memory');
    }
  }

  async #run(onlyDeletes: boolean, args: Argument[]): Promise<string> {
    return String(await run(this.#client, onlyDeletes ? applyDeletesScript : applyScript, this.#keys, args));
  }

  #unparked(batch: Batch, parkedNow: ReadonlySet<string>): string[] {
    if (this.#parked.size === 0) return [];
    const names = batch.events.map((e) => parkedName({ table: e.target.table, key: e.key.toString('utf8') }));
    return [...new Set(names)].filter((name) => this.#parked.has(name) && !parkedNow.has(name));
  }
}

function outcomeOf(said: string, parked: readonly ParkedKey[]): ApplyOutcome {
  switch (said) {
    case 'applied':
      return { kind: 'applied', parked };
    case 'fenced':
    case 'lost':
    case 'stale':
      return { kind: said };
    default:
      throw new LockstepError('LS-INTERNAL', `the apply script answered ${said}`);
  }
}

export function parkedName({ table, key }: Pick<ParkedKey, 'table' | 'key'>): string {
  return JSON.stringify([table, key]);
}

export function parkedOf(name: string, text: string): ParkedKey {
  const [table, key] = JSON.parse(name) as [string, string];
  const { reason, seq } = JSON.parse(text) as { reason: string; seq: number };
  return { table, key, reason, seq };
}
