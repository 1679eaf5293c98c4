/** Waits for stores to become equal where no `wait` can tell: after a store lost what it held, the loss has to be noticed first. */
import { compareStores, differencesOf } from './compare.js';
import type { CompareTargets } from './compare.js';

/** The differences that are left when the stores are equal (none) or the time is over. */
export async function differencesWithin(targets: CompareTargets, timeoutMs: number): Promise<string[]> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const differences = differencesOf(await compareStores(targets), 10);
    if (differences.length === 0 || performance.now() > deadline) return differences;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
