/**
 * Table definitions as the log carries them: read whole at the start, and again when an event cites one that is not known
 * yet. A definition is committed before the first event that cites it, so it is there by then.
 */
import type { Config } from '../core/config.js';
import type { Definition, DefinitionHash } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import { ownTopic, tableTopic } from '../core/names.js';
import { partitionName, type PartitionName } from '../core/position.js';
import type { Target } from '../core/store.js';
import { targetOf } from '../core/target.js';
import type { Reader } from '../stores/kafka/reader.js';

export interface Landing {
  readonly definition: Definition;
  readonly target: Target;
}

const patienceMs = 20_000;

export class Definitions {
  readonly partition: PartitionName;
  /** Where the definitions topic was read up to. */
  offset = 0;
  readonly #reader: Reader;
  readonly #config: Config;
  readonly #want: (hash: DefinitionHash) => Promise<boolean>;
  readonly #landings = new Map<DefinitionHash, Landing>();
  readonly #tables = new Map<string, string>();

  /** The reader is this object's own: it is not shared with another fetch. */
  constructor(reader: Reader, config: Config, want: (hash: DefinitionHash) => Promise<boolean>) {
    this.#want = want;
    this.#reader = reader;
    this.#config = config;
    this.partition = partitionName(ownTopic(config.kafka.topicPrefix, 'definitions'), 0);
  }

  get(hash: DefinitionHash): Landing | undefined {
    return this.#landings.get(hash);
  }

  /** Topics of all tables that were ever defined. */
  topics(): readonly string[] {
    return [...this.#tables.keys()];
  }

  tableOf(topic: string): string {
    return this.#tables.get(topic) ?? topic;
  }

  async require(hash: DefinitionHash): Promise<Landing> {
    const known = this.#landings.get(hash) ?? (await this.#readUntil(hash));
    if (known !== undefined) return known;
    // A topic that was made anew begins below where this one was read up to.
    this.offset = 0;
    const found = await this.#readUntil(hash);
    if (found !== undefined) return found;
    const asked = await this.#want(hash);
    const next = asked ? 'capture was asked to publish it again' : 'MySQL does not know it either';
    throw new LockstepError('LS-APPLY-DEFINITION', `the definitions topic holds no definition ${hash}: ${next}`, {
      details: { definition: hash },
    });
  }

  /** Reads everything that is committed in the topic; nothing where it does not exist yet. */
  async refresh(): Promise<void> {
    const topic = ownTopic(this.#config.kafka.topicPrefix, 'definitions');
    const end = (await this.#reader.endOffsets([topic])).get(this.partition) ?? 0;
    const signal = AbortSignal.timeout(patienceMs);
    while (this.offset < end) {
      for (const result of await this.#reader.fetch(new Map([[this.partition, this.offset]]), signal)) {
        if (result.outOfRange) this.offset = 0;
        else this.offset = result.nextOffset;
        for (const { key, value } of result.records) if (key !== null && value !== null) this.#learn(key, value);
        if (result.missing) return;
      }
      if (signal.aborted) {
        throw this.#reader.trouble() ?? new LockstepError('LS-KAFKA-UNREACHABLE', `${topic} cannot be read`);
      }
    }
  }

  async #readUntil(hash: DefinitionHash): Promise<Landing | undefined> {
    await this.refresh();
    return this.#landings.get(hash);
  }

  #learn(key: Buffer, value: Buffer): void {
    // Canonical text that capture wrote, named by its hash.
    const definition = JSON.parse(value.toString('utf8')) as Definition;
    const target = targetOf(definition.table, this.#config);
    this.#landings.set(key.toString('utf8'), { definition, target });
    const topic = tableTopic(this.#config.kafka.topicPrefix, definition.database, definition.table);
    this.#tables.set(topic, definition.table);
  }
}
