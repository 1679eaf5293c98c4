/** A key's story in words. Pure. */
import type { KeyStory, StoreStory } from '../stages/explain.js';

export function explainText(story: KeyStory): string {
  const { table, key, asked, alike, row, pending, log, stores, parked, drift, repairs } = story;
  return [
    `${table} ${key}`,
    ...(asked === null ? [] : [`asked for as ${asked}: MySQL takes the two for one`]),
    section('mysql', [row ?? (alike === null ? 'no row' : `no row with these bytes; MySQL finds ${alike} under them`)]),
    section(
      'change log',
      pending.length === 0
        ? ['nothing waits']
        : pending.map(({ seq, op, at }) => `seq ${seq}: ${op}, ${at}, not yet in the log`),
    ),
    section(`log, partition ${log.partition}, end ${log.end}`, [
      ...(log.cutOff ? ['older events are not in the log any more, or were not looked through'] : []),
      ...(log.events.length === 0 ? ['no event of this key'] : []),
      ...log.events.map(
        ({ offset, seq, op, at, after }) =>
          `offset ${offset}, seq ${seq}: ${op}, ${at}${after === null ? '' : `, ${after}`}`,
      ),
    ]),
    ...stores.map(storeLines),
    section(
      'parked',
      parked.length === 0 ? ['no'] : parked.map(({ where, reason, seq }) => `in ${where} at seq ${seq}: ${reason}`),
    ),
    section(
      'found and repaired',
      drift.length + repairs.length === 0
        ? ['never found to differ']
        : [
            ...drift.map(
              (d) =>
                `${iso(d.foundAt)} ${d.store}: ${d.kind}, ${d.cause}, by ${d.foundBy}; ${d.healedAt === null ? 'open' : `healed ${iso(d.healedAt)}`}`,
            ),
            ...repairs.map((r) => `${iso(r.at)} repair: ${r.outcome}`),
          ],
    ),
  ].join('\n');
}

function storeLines(story: StoreStory): string {
  const { store, content, expiresAt, position, verdict, lastApplied, asTheLogSays, verifiedThrough } = story;
  const fields = verdict.kind === 'different' ? ` in ${verdict.fields.join(', ')}` : '';
  return section(store, [
    content === null ? 'nothing' : content,
    ...(expiresAt === null ? [] : [`expires ${expiresAt}`]),
    `${verdict.kind}${fields}, held against the row`,
    lastApplied === null
      ? `position ${position}; the log holds no event of the key before it`
      : `position ${position}; the key's last event before it is offset ${lastApplied.offset}, and the store is ${asTheLogSays === true ? '' : 'not '}as it left it`,
    verifiedThrough === null
      ? 'its table was never swept as a whole without drift'
      : `its table was right through ${verifiedThrough}`,
  ]);
}

function section(title: string, lines: readonly string[]): string {
  return [title, ...lines.map((line) => `  ${line}`)].join('\n');
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
