/** Registers lockstep's search attributes where they are missing. A server of one's own allows it; others say how. */
import type { Client } from '@temporalio/client';
import { LockstepError } from '../core/errors.js';
import { searchAttributeNames } from '../workflows/searchAttributes.js';
import { grpcCode } from './temporal.js';

/** temporal.api.enums.v1.IndexedValueType */
const keyword = 2;
/** gRPC's numbers. */
const grpc = { invalidArgument: 3, notFound: 5, alreadyExists: 6, permissionDenied: 7, unimplemented: 12 } as const;

/** Where the server lets nobody look or register, they may be there all the same: starting a workflow shows it. */
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
    const code = grpcCode(error);
    // Two starters at once: the other one registered them.
    if (code === grpc.alreadyExists || code === grpc.permissionDenied || code === grpc.unimplemented) return;
    if (code !== grpc.notFound) throw error;
    throw new LockstepError('LS-TEMPORAL-REFUSED', `namespace ${namespace} does not exist`, { cause: error });
  }
}

/** Whether a workflow could not be started for want of the attributes: our error, or null. */
export function attributesMissing(error: unknown): LockstepError | null {
  const text = error instanceof Error ? `${error.message} ${String(error.cause)}` : '';
  if (grpcCode(error) !== grpc.invalidArgument || !/search ?attribute/i.test(text)) return null;
  return notRegistered('they are not registered', error);
}

function notRegistered(reason: string, cause?: unknown): LockstepError {
  return new LockstepError('LS-TEMPORAL-ATTRIBUTES', `search attributes of lockstep: ${reason}`, { cause });
}
