/**
 * Within any activity: something changed that a look would find. The pipeline looks at once instead of seconds later, so
 * nothing depends on this being heard.
 */
import { Context } from '@temporalio/activity';
import { pipelineId } from '../core/workflowNames.js';
import { lookSignalName } from '../workflows/signalNames.js';

const answerWithinMs = 3_000;

/** Never throws: a pipeline that is not there, or a Temporal that is away, looks for itself when it is back. False: not heard. */
export async function askForLook(pipeline: string): Promise<boolean> {
  const { client, log } = Context.current();
  try {
    await client.connection.withDeadline(Date.now() + answerWithinMs, () =>
      client.workflow.getHandle(pipelineId(pipeline)).signal(lookSignalName),
    );
    return true;
  } catch (error) {
    log.debug('the pipeline could not be asked for a look', { error: error instanceof Error ? error.name : 'unknown' });
    return false;
  }
}
