/**
 * The one door to the driver's inside: OP_MSG document sequences that take BSON bytes as they are. The driver itself
 * sends bulk writes this way; its public API would serialise every document from JavaScript objects (three times the
 * CPU). Not public API, so the version is pinned and the class is checked here.
 */
import { createRequire } from 'node:module';
import type { Document } from 'mongodb';
import { LockstepError } from '../../core/errors.js';

export interface DocumentSequence {
  /** `buffer` may hold many documents, one after the other; `document` is for command monitoring alone. */
  push(document: Document, buffer: Uint8Array): number;
}

type DocumentSequenceClass = new (field: string) => DocumentSequence;

const inside = createRequire(import.meta.url)('mongodb/lib/cmap/commands.js') as {
  DocumentSequence?: DocumentSequenceClass;
};

/** The documents of a write command, ready to stand where `updates`, `deletes` or `documents` would. */
export function documentSequence(field: 'updates' | 'deletes' | 'documents', bytes: Uint8Array): DocumentSequence {
  if (inside.DocumentSequence === undefined) {
    throw new LockstepError('LS-INTERNAL', 'the installed version of the package mongodb is not the pinned one');
  }
  const sequence = new inside.DocumentSequence(field);
  sequence.push({}, bytes);
  return sequence;
}
