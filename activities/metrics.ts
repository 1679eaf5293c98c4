/** What lockstep adds to the SDK's own metrics: gauges of each look. Where no exporter is configured they cost nothing. */
import type { MetricMeter } from '@temporalio/common';
import { bucketLimitMs, lagBuckets } from '../core/lag.js';
import type { PipelineStatus, Sample } from '../core/status.js';

/** Every fourth bucket: each is twice as wide as the one before. */
const shownBuckets = 4;

export function publishMetrics(meter: MetricMeter, status: PipelineStatus, sample: Sample): void {
  const { pipeline, capture, stores, tables, witness, sweep, drift, problems } = status;
  const tags = { pipeline };
  const gauge = (name: string, value: number, more: Readonly<Record<string, string>> = {}): void => {
    meter.createGauge(`lockstep_${name}`, 'float').set(value, { ...tags, ...more });
  };
  gauge('change_log_backlog', capture.backlog);
  gauge('change_log_oldest_ms', capture.oldestMs);
  gauge('change_log_bytes', capture.bytes);
  gauge('captured_per_second', capture.changesPerSecond);
  gauge('tables_to_copy', tables.filter((table) => table.copy !== null).length);
  gauge('problems', problems.length);
  if (witness !== undefined) {
    gauge('witness_watching', witness.state === 'watching' ? 1 : 0);
    gauge('escapes_open', witness.escapes.filter(({ healedAt }) => healedAt === null).length);
  }
  if (drift !== undefined) {
    gauge('drift_open', drift.open);
    gauge('tables_drifting_too_much', drift.tooMuch.length);
  }
  if (sweep !== undefined && sweep.finishedAt !== null) {
    gauge('sweep_drift', sweep.drift);
    gauge('sweep_finished_seconds', Date.parse(sweep.finishedAt) / 1000);
    gauge('sweep_complete', sweep.state === 'done' ? 1 : 0);
  }
  for (const { store, applied, eventsPerSecond, behind, lag, parkedKeys, state, verify } of stores) {
    gauge('applied_events', applied, { store });
    gauge('applied_per_second', eventsPerSecond, { store });
    gauge('behind_events', behind, { store });
    gauge('parked_keys', parkedKeys, { store });
    gauge('store_reachable', state === 'unreachable' ? 0 : 1, { store });
    if (verify !== null) {
      gauge('verify_behind_events', verify.behind, { store });
      gauge('verified_events', verify.events, { store });
      gauge('verify_differences', verify.differences, { store });
      gauge('unverified_events', verify.unverified, { store });
      if (verify.through !== null) gauge('verified_through_seconds', Date.parse(verify.through) / 1000, { store });
    }
    for (const quantile of ['p50', 'p95', 'p99'] as const) {
      if (lag !== null) gauge('lag_ms', lag[quantile], { store, quantile });
    }
  }
  for (const { store, lag } of sample.stores) {
    let atMost = 0;
    for (let bucket = 0; bucket < lagBuckets; bucket++) {
      atMost += lag[bucket] ?? 0;
      const isLast = bucket === lagBuckets - 1;
      if (!isLast && bucket % shownBuckets !== shownBuckets - 1) continue;
      gauge('lag_ms_bucket', atMost, { store, le: isLast ? '+Inf' : bucketLimitMs(bucket).toFixed(1) });
    }
  }
  for (const { table, verifiedThrough } of tables) {
    for (const [store, through] of Object.entries(verifiedThrough)) {
      if (through !== null) gauge('table_verified_through_seconds', Date.parse(through) / 1000, { store, table });
    }
  }
}
