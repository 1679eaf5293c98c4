/**
 * Histories of pipelines that really ran, replayed against the workflows as they are now: a change that would break a
 * running pipeline fails here. A history that tells something else must fail too, or replaying would prove nothing.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { describe, expect, it } from 'vitest';
import { installRuntime } from '../../workers/log.js';
import { packageRoot } from '../../temporal-compose/place.js';
import { workflowBundle } from './rig.js';

interface RecordedEvent {
  readonly eventId: string;
  readonly eventType: string;
  activityTaskScheduledEventAttributes?: { activityType: { name: string } };
  startChildWorkflowExecutionInitiatedEventAttributes?: { workflowId: string };
}

const folder = join(packageRoot(), 'test', 'histories');
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .toSorted();

function read(name: string): { events: RecordedEvent[] } {
  return JSON.parse(readFileSync(join(folder, name), 'utf8')) as { events: RecordedEvent[] };
}

async function replay(history: unknown): Promise<void> {
  await Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, history, 'lockstep/recorded');
}

installRuntime({ level: 'ERROR' });

it('has histories of every workflow', () => {
  const workflows = new Set(names.map((name) => name.split('-', 1)[0]));
  expect([...workflows]).toEqual(['apply', 'capture', 'ingest', 'pipeline', 'snapshot', 'validate', 'verify']);
});

describe.each(names)('%s', (name) => {
  it('replays', async () => {
    await expect(replay(read(name))).resolves.toBeUndefined();
  });

  it('does not replay when another activity was scheduled', async () => {
    const history = read(name);
    const scheduled = history.events.findLast((event) => event.activityTaskScheduledEventAttributes !== undefined);
    const attributes = scheduled?.activityTaskScheduledEventAttributes;
    expect(attributes).toBeDefined();
    if (attributes !== undefined) attributes.activityType.name = 'somethingElse';
    await expect(replay(history)).rejects.toThrow(DeterminismViolationError);
  });
});

it('does not replay when a child of another name was started', async () => {
  const history = read('pipeline-life.json');
  const started = history.events.find((e) => e.startChildWorkflowExecutionInitiatedEventAttributes !== undefined);
  const attributes = started?.startChildWorkflowExecutionInitiatedEventAttributes;
  expect(attributes).toBeDefined();
  if (attributes !== undefined) attributes.workflowId = 'lockstep/another/capture';
  await expect(replay(history)).rejects.toThrow(DeterminismViolationError);
});

it('does not replay when an event is missing', async () => {
  const history = read('capture-life.json');
  const events = history.events.filter((event) => event.activityTaskScheduledEventAttributes === undefined);
  expect(events.length).toBeLessThan(history.events.length);
  await expect(replay({ events })).rejects.toThrow(/History is out of order/);
});
