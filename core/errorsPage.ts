/** docs/errors.md, made from the registry of codes. */
import { errorCodes, type ErrorEntry } from './errors.js';

const intro = `# Errors

Every error of lockstep has a code, which names its cause. Commands print it with the message and what to do; problems in
\`lockstep status\`, in worker logs and in the Temporal UI carry the same codes. A code marked *passes by itself* is tried
again as long as it takes; nothing is skipped and nothing is lost meanwhile.

This page is generated from \`core/errors.ts\` by \`node bin/docs.mjs\`.
`;

/** Headings of the groups, by the code's second word. */
const groups: Readonly<Record<string, string>> = {
  CONFIG: 'Configuration and commands',
  USAGE: 'Configuration and commands',
  STACK: 'Local servers',
  MYSQL: 'MySQL',
  SOURCE: 'MySQL',
  TABLE: 'Tables',
  TABLES: 'Tables',
  TRIGGERS: 'Tables',
  INGEST: 'Ingest',
  ROW: 'Tables',
  TYPE: 'Tables',
  KAFKA: 'Kafka',
  MONGO: 'MongoDB',
  REDIS: 'Redis',
  TEMPORAL: 'Temporal',
  PIPELINE: 'Pipelines and workers',
  WORKER: 'Pipelines and workers',
  WAIT: 'Pipelines and workers',
  STATE: "lockstep's own state",
  STORE: "lockstep's own state",
  NOT: "lockstep's own state",
  LOSS: "lockstep's own state",
  SWEEP: 'Validation',
  DRIFT: 'Validation',
};

const elsewhere = 'Others';

export function errorsPage(): string {
  const sections = new Map<string, string[]>([...new Set([...Object.values(groups), elsewhere])].map((g) => [g, []]));
  const codes: readonly (readonly [string, ErrorEntry])[] = Object.entries(errorCodes);
  for (const [code, { retryable, help }] of codes) {
    const title = groups[code.split('-')[1] ?? ''] ?? elsewhere;
    sections.get(title)?.push(`### ${code}\n\n${retryable ? '*Passes by itself.* ' : ''}${help}\n`);
  }
  const filled = [...sections].filter(([, entries]) => entries.length > 0);
  return [intro, ...filled.map(([title, entries]) => `## ${title}\n\n${entries.join('\n')}`)].join('\n');
}
