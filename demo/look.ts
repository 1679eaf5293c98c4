/** What the demo knows of its running pipeline: status readings with a window of their own, and who runs capture. */
import type { Config } from '../core/config.js';
import type { PipelineStatus, Sample } from '../core/status.js';
import { captureId } from '../core/workflowNames.js';
import type { Clients } from '../cli/clients.js';
import { observe } from '../stages/observe.js';
import { connectClient } from '../workers/temporal.js';

export interface Look {
  /** Rates and lag cover the last few seconds of calls. */
  status(): Promise<PipelineStatus>;
  sample(): Promise<Sample>;
}

const windowMs = 3000;

export function openLook(clients: Clients): Look {
  const samples: Sample[] = [];
  async function now(): Promise<{ status: PipelineStatus; sample: Sample }> {
    const reading = await observe(clients, { since: samples[0] ?? null, paused: false, pausedTables: [] });
    samples.push(reading.sample);
    while (samples[0] !== undefined && samples[0].at < reading.sample.at - windowMs) samples.shift();
    return reading;
  }
  return {
    status: async () => (await now()).status,
    sample: async () => (await now()).sample,
  };
}

/** Process id of the worker that captures now, as Temporal knows it; undefined between two attempts. */
export async function pidOfCapture(config: Config): Promise<number | undefined> {
  const client = await connectClient(config.temporal);
  try {
    const { raw } = await client.workflow.getHandle(captureId(config.pipeline)).describe();
    const identity = raw.pendingActivities?.[0]?.lastWorkerIdentity ?? '';
    const pid = Number.parseInt(/\d+/.exec(identity)?.[0] ?? '', 10);
    return Number.isNaN(pid) ? undefined : pid;
  } finally {
    await client.connection.close();
  }
}
