/** What apply is given: one store, the log, and the questions that only MySQL can answer or keep. */
import type { Config } from '../core/config.js';
import type { DefinitionHash } from '../core/definition.js';
import type { Store } from '../core/store.js';
import type { Reader } from '../stores/kafka/reader.js';

export interface ApplyDeps {
  readonly config: Config;
  readonly store: Store;
  /** Each call opens one of its own; the stage closes it. */
  readonly openReader: () => Reader;
  /** Whether the shard was initialised once. Kept outside the store, which cannot know that it lost everything. */
  readonly wasInitialised: (shard: number) => Promise<boolean>;
  readonly recordInitialised: (shard: number) => Promise<void>;
  /** Has capture publish a definition again. False when MySQL does not know it either. */
  readonly wantDefinition: (hash: DefinitionHash) => Promise<boolean>;
  /** Makes copies due, durably. Null: of every table. */
  readonly requestCopies: (tables: readonly string[] | null) => Promise<void>;
}
