/** What lockstep adds to the SDK's own metrics: gauges of each look. Where no exporter is configured they cost nothing. */
import type { MetricMeter } from '@temporalio/common';
import type { PipelineStatus } from '../core/status.js';

export function publishMetrics(meter: MetricMeter, status: PipelineStatus): void {
  const { pipeline, capture, stores, tables, problems } = status;
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
  for (const { store, applied, eventsPerSecond, behind, lag, parkedKeys, state } of stores) {
    gauge('applied_events', applied, { store });
    gauge('applied_per_second', eventsPerSecond, { store });
    gauge('behind_events', behind, { store });
    gauge('parked_keys', parkedKeys, { store });
    gauge('store_reachable', state === 'unreachable' ? 0 : 1, { store });
    for (const quantile of ['p50', 'p95', 'p99'] as const) {
      if (lag !== null) gauge('lag_ms', lag[quantile], { store, quantile });
    }
  }
}
