/** Registers lockstep's search attributes where they are missing. A server of one's own allows it; others say how. */
import type { Client } from '@temporalio/client';
import { LockstepError } from '../core/errors.js';
import { searchAttributeNames } from '../workflows/searchAttributes.js';
import { grpcCode } from './temporal.js';

/** temporal.api.enums.v1.IndexedValueType */
const keyword = 2;
const alreadyExists = 6;

export async function ensureSearchAttributes(client: Client): Promise<void> {
  const { operatorService } = client.connection;
  const namespace = client.options.namespace;
  try {
    const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
    const wrong = searchAttributeNames.filter((name) => ![undefined, null, keyword].includes(customAttributes?.[name]));
    if (wrong.length > 0) throw notRegistered(`${wrong.join(', ')} exist with another type than Keyword`);
    const missing = searchAttributeNames.filter((name) => customAttributes?.[name] === undefined);
    if (missing.length === 0) return;
    const searchAttributes = Object.fromEntries(missing.map((name) => [name, keyword]));
    await operatorService.addSearchAttributes({ namespace, searchAttributes });
  } catch (error) {
    // Two starters at once: the other one registered them.
    if (grpcCode(error) === alreadyExists) return;
    if (error instanceof LockstepError || grpcCode(error) === undefined) throw error;
    throw notRegistered(error instanceof Error ? error.message : String(error), error);
  }
}

function notRegistered(reason: string, cause?: unknown): LockstepError {
  return new LockstepError('LS-TEMPORAL-ATTRIBUTES', `search attributes: ${reason}`, { cause });
}
