/** What a table asks of a store besides its rows, and where a store was found not to be so. Shared by stores and stages. */
import type { SchemaConfig } from './config.js';
import type { Definition } from './definition.js';
import type { StoreName, Target } from './store.js';

export interface TableForm {
  readonly target: Target;
  readonly definition: Definition;
  readonly validators: SchemaConfig['validators'];
  /** MySQL's secondary indexes where they are mirrored; null where indexes are none of lockstep's business. */
  readonly indexes: readonly TableIndex[] | null;
}

export interface TableIndex {
  readonly name: string;
  readonly unique: boolean;
  readonly columns: readonly { readonly name: string; readonly descending: boolean }[];
  /** Why MongoDB cannot have it; null where it can. */
  readonly refusal: string | null;
}

/** One thing that is not as it should be. Names and types only, never a value. */
export interface Disagreement {
  readonly table: string;
  readonly store: 'mysql' | StoreName;
  readonly kind:
    | 'table'
    | 'definition'
    | 'triggers'
    | 'collection'
    | 'validator'
    | 'index'
    | 'layout'
    | 'fields'
    | 'types'
    | 'expiry'
    | 'unreachable';
  /** Column, index, collection or trigger. */
  readonly subject: string;
  readonly expected: string;
  readonly found: string;
}

/** What a store could not be brought to; it is tried again. */
export interface Unprepared {
  readonly table: string;
  readonly reason: string;
  /** Transactions hold it: of apply, or of a process that died a moment ago, until its successor ends them. */
  readonly held: boolean;
}
