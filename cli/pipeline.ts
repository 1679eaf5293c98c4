/** A connection to the pipeline's workflow for the length of one command. */
import type { Config } from '../core/config.js';
import { openPipelineClient, type PipelineClient } from '../workers/pipelineClient.js';

export async function withPipeline<T>(config: Config, work: (pipeline: PipelineClient) => Promise<T>): Promise<T> {
  const pipeline = await openPipelineClient(config);
  try {
    return await work(pipeline);
  } finally {
    await pipeline.close();
  }
}
