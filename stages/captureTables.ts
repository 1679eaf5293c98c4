/**
 * What capture knows of tables: under each definition that the change log cites, where its events go. A topic exists and
 * a definition is in the definitions topic, committed, before the first event that needs them.
 */
import type { Config } from '../core/config.js';
import { definitionHash, type Definition, type DefinitionHash } from '../core/definition.js';
import { connectSchemas } from '../core/connectSchema.js';
import { recordForm } from '../core/envelope.js';
import { LockstepError } from '../core/errors.js';
import { ownTopic, tableTopic } from '../core/names.js';
import type { Dial } from '../stores/kafka/client.js';
import type { Producer } from '../stores/kafka/producer.js';
import { dataTopic, ensureTopics, ownTopics, type TopicFacts } from '../stores/kafka/topics.js';
import type { Queries } from '../stores/mysql/connection.js';
import { readDefinition } from '../stores/mysql/state.js';
import type { Route } from './captureBatch.js';
import { definitionRecord } from './captureSchema.js';

export interface Tables {
  /** Null when no such definition was ever committed. */
  route(hash: DefinitionHash): Route | null;
  /** Hashes that are in the definitions topic already. */
  published(hashes: Iterable<DefinitionHash>): void;
  /** Makes `route` answer for all of these. Answers false when another producer has taken over. */
  learn(hashes: ReadonlySet<DefinitionHash>, producer: Producer, now: number): Promise<boolean>;
  /** Data topics known so far. */
  topics(): readonly string[];
  /** The table behind a data topic; undefined before its definition was learned. */
  tableOf(topic: string): string | undefined;
  maxStateBytes(): number;
}

export interface TablesSource {
  readonly config: Config;
  readonly version: string;
  readonly dial: Dial;
  readonly queries: Queries;
}

/** Makes sure that lockstep's own topics and those of the captured tables exist. */
export async function openTables(source: TablesSource, captured: readonly Definition[]): Promise<Tables> {
  const { kafka } = source.config;
  const names = new Map(captured.map((d) => [tableTopic(kafka.topicPrefix, d.database, d.table), d.table]));
  const specs = [...ownTopics(kafka), ...[...names.keys()].map((name) => dataTopic(kafka, name))];
  return new KnownTables(source, await ensureTopics(kafka, specs, source), names);
}

class KnownTables implements Tables {
  readonly #source: TablesSource;
  readonly #facts: Map<string, TopicFacts>;
  readonly #names: Map<string, string>;
  readonly #published = new Set<string>();
  readonly #routes = new Map<DefinitionHash, Route | null>();

  constructor(source: TablesSource, facts: Map<string, TopicFacts>, names: Map<string, string>) {
    this.#source = source;
    this.#facts = facts;
    this.#names = names;
  }

  published(hashes: Iterable<DefinitionHash>): void {
    for (const hash of hashes) this.#published.add(hash);
  }

  route(hash: DefinitionHash): Route | null {
    return this.#routes.get(hash) ?? null;
  }

  topics(): readonly string[] {
    const own = new Set(ownTopics(this.#source.config.kafka).map(({ topic }) => topic));
    return [...this.#facts.keys()].filter((topic) => !own.has(topic));
  }

  tableOf(topic: string): string | undefined {
    return this.#names.get(topic);
  }

  maxStateBytes(): number {
    const { kafka } = this.#source.config;
    return this.#facts.get(ownTopic(kafka.topicPrefix, 'state'))?.maxMessageBytes ?? kafka.maxMessageBytes;
  }

  async learn(hashes: ReadonlySet<DefinitionHash>, producer: Producer, now: number): Promise<boolean> {
    const unpublished: Definition[] = [];
    for (const hash of hashes) {
      // An unknown definition is looked up again each time: a change that cites it is parked, not forgotten.
      if (this.#routes.get(hash) !== undefined && this.#routes.get(hash) !== null) continue;
      const definition = await readDefinition(this.#source.queries, this.#source.config.mysql.stateDatabase, hash);
      if (definition !== null && !this.#published.has(hash)) unpublished.push(definition);
      this.#routes.set(hash, definition === null ? null : await this.#routeTo(definition, hash));
    }
    return unpublished.length === 0 || this.#publish(unpublished, producer, now);
  }

  async #routeTo(definition: Definition, hash: DefinitionHash): Promise<Route> {
    const { config, version } = this.#source;
    const { topicPrefix, envelope } = config.kafka;
    const topic = tableTopic(topicPrefix, definition.database, definition.table);
    const facts = this.#facts.get(topic) ?? (await this.#makeTopic(topic));
    const { database, table } = definition;
    this.#names.set(topic, table);
    const schemas = envelope === 'schema' ? connectSchemas(definition, topic) : null;
    return {
      definition,
      hash,
      topic,
      partitions: facts.partitions,
      maxMessageBytes: facts.maxMessageBytes,
      form: recordForm({ name: topicPrefix, database, table }, version, schemas),
    };
  }

  async #makeTopic(topic: string): Promise<TopicFacts> {
    const { kafka } = this.#source.config;
    const facts = (await ensureTopics(kafka, [dataTopic(kafka, topic)], this.#source)).get(topic);
    if (facts === undefined) throw new LockstepError('LS-INTERNAL', `topic ${topic} was not described`);
    this.#facts.set(topic, facts);
    return facts;
  }

  async #publish(definitions: readonly Definition[], producer: Producer, now: number): Promise<boolean> {
    const { kafka } = this.#source.config;
    const records = definitions.flatMap(definitionRecord);
    const topic = ownTopic(kafka.topicPrefix, 'definitions');
    const { maxMessageBytes } = this.#facts.get(topic) ?? { maxMessageBytes: kafka.maxMessageBytes };
    const published = await producer.publish([{ topic, partition: 0, maxBatchBytes: maxMessageBytes, records }], now);
    if (published.kind === 'fenced') return false;
    for (const definition of definitions) this.#published.add(definitionHash(definition));
    return true;
  }
}
