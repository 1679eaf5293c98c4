/**
 * CSV records → checked rows and rejects, by the columns that the plan gives. NULL is a field with one of the tokens. In quotes a
 * token is text, for columns of text; in other columns it could be nothing else, so quotes do not matter there and an empty
 * field is NULL as well.
 */
import type { InputRow, InputValue, Reading, Reject } from '../../core/ingest.js';
import type { PlannedColumn } from '../../core/ingestColumns.js';
import { Fault } from '../../core/ingestFault.js';
import { recordOf, type CheckedRows } from './checkedRows.js';
import { fieldsOf, isQuoted } from './csv.js';
import { rawText, type Block, type Dialect } from './records.js';

export interface CsvShape {
  readonly dialect: Dialect;
  /** How many fields a record must have. */
  readonly fields: number;
  /** For each of the plan's columns the field that holds it. */
  readonly places: readonly number[];
}

export function csvRows(
  block: Block,
  shape: CsvShape,
  columns: readonly PlannedColumn[],
  reading: Reading,
): CheckedRows {
  const rows: InputRow[] = [];
  const rejects: Reject[] = [];
  const checked = columns.map((column, i) => ({ ...column, place: shape.places[i] ?? 0 }));
  const tokens = new Set(reading.nullTokens);
  for (const [i, fields] of fieldsOf(block, reading).entries()) {
    const line = block.lines[i] ?? 0;
    const values: InputValue[] = [];
    let fault = wrongFields(fields, shape.fields);
    let name: string | null = null;
    if (fault === null && !(fields instanceof Fault)) {
      for (const { column, rule, place } of checked) {
        const text = fields[place] ?? '';
        const isNull =
          tokens.size > 0 && tokens.has(text)
            ? !rule.emptyIsValue || !isQuotedField(block, i, place, shape.dialect)
            : !rule.emptyIsValue && isBlank(text);
        const value = isNull ? rule.ofNull() : rule.ofText(text);
        if (value instanceof Fault) {
          [fault, name] = [value, column.name];
          break;
        }
        values.push(value);
      }
    }
    if (fault === null) rows.push({ line, values });
    else {
      const { reason, detail } = fault;
      rejects.push({ line, reason, column: name, detail, raw: rawText(recordOf(block, i)) });
    }
  }
  return { rows, rejects };
}

function wrongFields(fields: readonly string[] | Fault, wanted: number): Fault | null {
  if (fields instanceof Fault) return fields;
  return fields.length === wanted ? null : new Fault('column-count', `${fields.length} instead of ${wanted}`);
}

function isBlank(text: string): boolean {
  return text === '' || (text.charCodeAt(0) <= 0x20 && text.trim() === '');
}

function isQuotedField(block: Block, record: number, field: number, dialect: Dialect): boolean {
  return block.hasQuotes && isQuoted(recordOf(block, record), field, dialect);
}
