/** One transaction of the binary log: its row events and log rows by table, and where foreign keys may have acted. Pure. */
import type { Finding } from './witnessFindings.js';
import { TablePairs } from './witnessPairs.js';

export class WitnessedTransaction {
  readonly #pairs = new Map<number, TablePairs>();
  /** Tables on whose rows a foreign key may have acted. */
  readonly cascadedTo = new Set<number>();
  /** Those of them where it acted, and left no row in the log. */
  readonly cascadedUnseen = new Set<number>();

  pairs(id: number): TablePairs {
    let table = this.#pairs.get(id);
    if (table === undefined) {
      table = new TablePairs();
      this.#pairs.set(id, table);
    }
    return table;
  }

  /** logsOnce: where triggers stand, and no second version of them beside. */
  findings(logsOnce: (id: number) => boolean, withoutRights: boolean): readonly Finding[] {
    const findings: Finding[] = [];
    for (const id of this.cascadedUnseen) {
      findings.push({ tableId: id, cause: 'foreign-key', keys: null, cascaded: true, withoutRights });
    }
    for (const [id, table] of this.#pairs) {
      const unpaired = table.unpaired();
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
