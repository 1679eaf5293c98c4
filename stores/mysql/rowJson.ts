/**
 * Row JSON and key JSON as SQL expressions, used in triggers and SELECTs alike: the same row gives the same bytes on
 * every road, whatever the session's time zone, SQL mode or character set. Pure: text out.
 */
import { keyColumns, type Column, type Definition } from '../../core/definition.js';
import { afterBytes, beforeBytes, binary, mayBeUndecodable } from '../../core/undecodable.js';
import { quoteName, quoteText } from './quote.js';

/**
 * Above this many bytes in a row's large columns no image is written: base64 of 45 MB takes 2 s of the application's
 * statement. Such an image is NULL beside its key, and the row is read again, or parked, by capture.
 */
export const largestImage = 12 * 1024 * 1024;

/** `NEW`, `OLD` or an alias that needs no quoting. */
export type Source = string;

/** NULL for a row whose large columns exceed `largestImage`, unless `guarded` is off; never NULL otherwise. */
export function rowJson(definition: Definition, source: Source, options: { readonly guarded?: boolean } = {}): string {
  const image = assemble(definition.columns.map((c) => [c.name, columnJson(c, source)]));
  const guard = options.guarded === false ? null : sizeGuard(definition, source);
  return guard === null ? image : `CASE WHEN ${guard} THEN NULL ELSE ${image} END`;
}

/** The Kafka key: key columns in key order. −0 and 0 are one key. */
export function keyJson(definition: Definition, source: Source): string {
  return assemble(keyColumns(definition).map((c) => [c.name, keyPart(c, source)]));
}

/** Whether a row is too large for an image; null when its columns cannot be. */
export function sizeGuard(definition: Definition, source: Source, most = largestImage): string | null {
  const sizes = definition.columns.filter(isLarge).map((c) => byteSize(c, named(c, source)));
  return sizes.length === 0 ? null : `${sizes.join('+')}>${most}`;
}

/** One column's JSON text; `null` as text for NULL. */
export function columnJson(column: Column, source: Source): string {
  const n = named(column, source);
  if (isBoolean(column)) return `CASE WHEN ${n} IS NULL THEN 'null' WHEN ${n} THEN 'true' ELSE 'false' END`;
  const json = notNullJson(column, n);
  if (!column.nullable) return json;
  // An oversize value makes the expression NULL: IFNULL would turn it into a NULL of the application's.
  return isLarge(column) ? `CASE WHEN ${n} IS NULL THEN 'null' ELSE ${json} END` : `IFNULL(${json},'null')`;
}

/** One key column's JSON text. */
export function keyPart(column: Column, source: Source): string {
  const n = named(column, source);
  if (column.type === 'float') return `IF(${n}=0,'0.0',${notNullJson(column, n)})`;
  if (column.type === 'double') return `IF(${n}=0,'${castsToJson(column) ? '0.0' : '0'}',${notNullJson(column, n)})`;
  if (mayBeUndecodable(column)) return keyTextJson(column, n);
  return columnJson({ ...column, nullable: false }, source);
}

function assemble(parts: readonly (readonly [string, string])[]): string {
  const pieces = parts.map(
    ([name, json], i) => `${quoteText(`${i === 0 ? '{' : ','}${JSON.stringify(name)}:`)},${json}`,
  );
  return `CONCAT(${pieces.join(',')},'}')`;
}

/**
 * Valid JSON whatever the column has become: a trigger still has its old text in the moments after an ALTER made text of a
 * number or a date, and its image must not break whoever reads the log. The copy that follows brings the new form.
 */
function notNullJson(column: Column, n: string): string {
  switch (column.form ?? 'own') {
    case 'int64-string':
      return `JSON_QUOTE(CONCAT(${column.type === 'bit' ? `CAST(${n} AS UNSIGNED)` : `${n}+0`}))`;
    case 'json-string':
      return `JSON_QUOTE(CONCAT(CAST(${n} AS JSON)))`;
    case 'tinyint1-boolean':
      // TINYINT(1) holds -128 to 127: what is no truth value stays the number that it is.
      return `CASE ${n}+0 WHEN 0 THEN 'false' WHEN 1 THEN 'true' ELSE ${n}+0 END`;
    case 'datetime-date':
    case 'own':
      return ownJson(column, n);
  }
}

function ownJson(column: Column, n: string): string {
  switch (column.type) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
    case 'year':
      return `${n}+0`;
    case 'decimal':
      return `JSON_QUOTE(CONCAT(${column.zerofill ? `${n}+0` : n}))`;
    case 'float':
      return `CONCAT(CAST(${n} AS JSON))`;
    case 'double':
      // Of a column that has become text meanwhile the number's own text would be no JSON; COERCIBILITY costs nothing.
      return castsToJson(column)
        ? `CONCAT(CAST(${n} AS JSON))`
        : `IF(COERCIBILITY(${n})=5,CONCAT(${n}),JSON_QUOTE(${n}))`;
    case 'bit':
      return `CAST(${n} AS UNSIGNED)`;
    case 'date':
    case 'time':
      return `JSON_QUOTE(CONCAT(${n}))`;
    case 'datetime':
      return `JSON_QUOTE(IF(${n}>='0001-01-01' AND LEFT(${n},10)=FROM_DAYS(TO_DAYS(${n})),REPLACE(${n},' ','T'),${n}))`;
    case 'timestamp':
      return (
        `IF(UNIX_TIMESTAMP(${n})=0,JSON_QUOTE(CONCAT(${n})),CONCAT('"',` +
        `REPLACE(TIMESTAMP'1970-01-01 00:00:00'+INTERVAL UNIX_TIMESTAMP(${n}) SECOND,' ','T'),'Z"'))`
      );
    case 'json':
      return `CONCAT(CAST(${n} AS JSON))`;
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
    case 'vector':
      return base64(n);
    case 'geometry':
    case 'point':
    case 'linestring':
    case 'polygon':
    case 'multipoint':
    case 'multilinestring':
    case 'multipolygon':
    case 'geomcollection':
    case 'geometrycollection':
      return `CONCAT('{"srid":',CONV(HEX(REVERSE(SUBSTR(${n},1,4))),16,10),',"wkb":',${base64(`SUBSTR(${n},5)`)},'}')`;
    default:
      if (mayBeUndecodable(column)) return textJson(column, n);
      return wide.has(column.charset ?? '') ? `JSON_QUOTE(${inUnicode(n)})` : `JSON_QUOTE(${n})`;
  }
}

/**
 * Of a set that Unicode does not hold whole. CONVERT cuts the text at half of a surrogate pair, or makes NULL of it in strict
 * mode, and writes `?` or U+FFFD for a code that its set leaves open. What is whole comes back as the bytes that it was.
 */
function textJson(column: Column, n: string): string {
  const charset = column.charset ?? binary;
  const isWhole = doubled.has(charset) ? `NOT ${hasGap(charset, n)}` : comesBack(charset, n, n);
  return `IF(${isWhole},JSON_QUOTE(${inUnicode(n)}),${bytesJson(charset, n)})`;
}

/** Of a key also what another key would be read as: two codes that are one character. */
function keyTextJson(column: Column, n: string): string {
  const charset = column.charset ?? binary;
  return `IF(${isAlone(charset, n)},JSON_QUOTE(${inUnicode(n)}),${bytesJson(charset, n)})`;
}

function isAlone(charset: string, n: string): string {
  switch (charset) {
    case 'sjis': {
      // Of its two backslashes the wide one is written, so the plain one never comes back as it was.
      const wide = `REPLACE(${n},_sjis X'5C',_sjis X'815F')`;
      return `LOCATE(_sjis X'815F',${n} COLLATE sjis_bin)=0 AND ${comesBack(charset, n, wide)}`;
    }
    case 'big5':
    case 'tis620':
      return `NOT ${hasGap(charset, n)} AND ${comesBack(charset, n, n)}`;
    default:
      return comesBack(charset, n, n);
  }
}

function comesBack(charset: string, n: string, as: string): string {
  return `CAST(CONVERT(${inUnicode(n)} USING ${charset}) AS BINARY)<=>CAST(${as} AS BINARY)`;
}

/** Sets in which a character has two codes, or in which U+FFFD stands for those that are open: their bytes need not come back. */
const doubled = new Set(['armscii8', 'big5', 'cp932', 'eucjpms', 'sjis', 'tis620', 'ujis']);

/** A `?` that is still there when the row's own are taken out, or the character for those that there are not. */
function hasGap(charset: string, n: string): string {
  const holds = (sign: string, text: string): string => `LOCATE(${sign},${inUnicode(text)} COLLATE utf8mb4_bin)>0`;
  const asks = `${holds("'?'", n)} AND ${holds("'?'", `REPLACE(${n},'?','')`)}`;
  return charset === 'big5' || charset === 'tis620' ? `(${asks} OR ${holds("_utf8mb4 X'EFBFBD'", n)})` : `(${asks})`;
}

function inUnicode(text: string): string {
  return `CONVERT(${text} USING utf8mb4)`;
}

function bytesJson(charset: string, n: string): string {
  return `CONCAT(${quoteText(beforeBytes(charset))},HEX(${n}),${quoteText(afterBytes)})`;
}

/** Whole, but JSON_QUOTE takes no set whose letters are longer than a byte. */
const wide = new Set(['utf16', 'utf16le', 'utf32']);

/** TO_BASE64 breaks lines at 76 characters. */
function base64(n: string): string {
  return `CONCAT('"',REPLACE(TO_BASE64(${n}),CHAR(10 USING utf8mb4),''),'"')`;
}

/** With (M,D) or ZEROFILL the printed text is not the stored value. */
function castsToJson(column: Column): boolean {
  return column.scale !== null || column.zerofill;
}

function isBoolean(column: Column): boolean {
  return column.type === 'bit' && column.precision === 1;
}

/** Types whose value can exceed what an image may hold. */
function isLarge(column: Column): boolean {
  return /^(?:(?:medium|long)(?:text|blob)|json|geometry|point|linestring|polygon|multi\w+|geom\w*collection)$/.test(
    column.type,
  );
}

/** Of JSON the stored size: its text would be made a second time for LENGTH. */
function byteSize(column: Column, n: string): string {
  const size = column.type === 'json' ? `JSON_STORAGE_SIZE(${n})` : `LENGTH(${n})`;
  return column.nullable ? `IFNULL(${size},0)` : size;
}

function named(column: Column, source: Source): string {
  return `${source}.${quoteName(column.name)}`;
}
