/** Whether Temporal answers, knows the namespace, and has or takes the search attributes. */
import type { Config } from '../core/config.js';
import { problemOf, type Problem } from '../core/problem.js';
import { connectClient, temporalFailure } from '../workers/temporal.js';

const answerMs = 5_000;

export async function checkTemporal({ temporal }: Config): Promise<readonly Problem[]> {
  try {
    const client = await connectClient(temporal);
    try {
      await client.connection.withDeadline(Date.now() + answerMs, () =>
        client.workflowService.describeNamespace({ namespace: temporal.namespace }),
      );
      return [];
    } finally {
      await client.connection.close();
    }
  } catch (error) {
    return [problemOf(temporalFailure(error, temporal))];
  }
}
