/** What verify is given: one store, the log, and what MySQL keeps for it. */
import type { Config } from '../core/config.js';
import type { DefinitionHash } from '../core/definition.js';
import type { KeyText } from '../core/drift.js';
import type { Store } from '../core/store.js';
import type { Reader } from '../stores/kafka/reader.js';
import type { VerifyLedger } from '../stores/mysql/verifyLedger.js';

export interface VerifyDeps {
  readonly config: Config;
  readonly store: Store;
  /** Each call opens one of its own; the stage closes it. */
  readonly openReader: () => Reader;
  readonly ledger: VerifyLedger;
  /** Has capture publish a definition again. False when MySQL does not know it either. */
  readonly wantDefinition: (hash: DefinitionHash) => Promise<boolean>;
  /** Logs keys again as MySQL has them now. */
  readonly repair: (table: string, keys: readonly KeyText[], signal: AbortSignal) => Promise<void>;
}
