/** One transaction of the binary log: its row events and log rows by table, and where foreign keys may have acted. Pure. */
import type { Finding } from './witnessFindings.js';
import { TablePairs, type Unpaired } from './witnessPairs.js';

/** By the form in which the keys of row events were read: several where the binary log does not tell which was theirs. */
type Readings = Map<string, TablePairs>;

export class WitnessedTransaction {
  readonly #tables = new Map<number, Readings>();
  /** Tables on whose rows a foreign key may have acted. */
  readonly cascadedTo = new Set<number>();
  /** Those of them where it acted, and left no row in the log. */
  readonly cascadedUnseen = new Set<number>();

  pairs(id: number, keyForm: string): TablePairs {
    let readings = this.#tables.get(id);
    if (readings === undefined) this.#tables.set(id, (readings = new Map()));
    let pairs = readings.get(keyForm);
    if (pairs === undefined) readings.set(keyForm, (pairs = new TablePairs()));
    return pairs;
  }

  /** logsOnce: where triggers stand, and no second version of them beside. */
  findings(logsOnce: (id: number) => boolean, withoutRights: boolean): readonly Finding[] {
    const findings: Finding[] = [];
    for (const id of this.cascadedUnseen) {
      findings.push({ tableId: id, cause: 'foreign-key', keys: null, cascaded: true, withoutRights });
    }
    for (const [id, readings] of this.#tables) {
      const unpaired = unpairedOf(readings);
      if (unpaired === null) continue;
      const cascaded = this.cascadedTo.has(id);
      const { wholeTable, escaped, unfounded } = unpaired;
      if (wholeTable) findings.push({ tableId: id, cause: null, keys: null, cascaded, withoutRights });
      if (escaped.length > 0) findings.push({ tableId: id, cause: null, keys: escaped, cascaded, withoutRights });
      if (unfounded.length > 0 && logsOnce(id)) {
        findings.push({ tableId: id, cause: 'no-row-event', keys: unfounded, cascaded: false, withoutRights });
      }
    }
    return findings;
  }
}

/**
 * Where some reading leaves nothing unpaired, it was the right one: under another, no key finds its log row. Where all do, the
 * one that leaves least; and what escaped under another that leaves as little, too: logging a key in vain changes nothing.
 */
function unpairedOf(readings: Readings): Unpaired | null {
  const fed = [...readings.values()].filter((pairs) => pairs.hasRowEvents);
  const found = (fed.length > 0 ? fed : [...readings.values()].slice(0, 1)).map((pairs) => pairs.unpaired());
  if (found.includes(null)) return null;
  return found.reduce((least, other) => {
    if (least === null || other === null || sizeOf(other) > sizeOf(least)) return least;
    if (sizeOf(other) < sizeOf(least)) return other;
    return { ...least, escaped: union(least.escaped, other.escaped) };
  });
}

function sizeOf({ escaped, unfounded, wholeTable }: Unpaired): number {
  return wholeTable ? Number.POSITIVE_INFINITY : escaped.length + unfounded.length;
}

function union(a: readonly string[], b: readonly string[]): readonly string[] {
  return [...new Set([...a, ...b])];
}
