/** The options of `lockstep ingest`, as the user gives them → how files are read and rows are brought in. */
import { InvalidArgumentError, type Command } from 'commander';
import { LockstepError } from '../core/errors.js';
import {
  defaultReading,
  type IngestFormat,
  type IngestMode,
  type IngestOptions,
  type Reading,
} from '../core/ingest.js';
import type { WantedReading } from '../stages/ingestPlan.js';
import type { FileOption, JsonOption } from './command.js';

export interface IngestFlags extends FileOption, JsonOption {
  readonly format?: IngestFormat;
  readonly delimiter?: string;
  readonly quote?: string;
  readonly header: boolean;
  readonly columns?: readonly string[];
  readonly ignore?: readonly string[];
  readonly null?: readonly string[];
  readonly encoding?: string;
  readonly binary?: Reading['binary'];
  readonly round?: true;
  readonly mode?: IngestMode;
  readonly maxRejects?: number;
  readonly rejects?: string;
  readonly dryRun?: true;
  readonly create?: true;
  readonly yes?: true;
  readonly key?: readonly string[];
  readonly again?: true;
  readonly throughLog?: true;
  readonly asEvents?: true;
  readonly fullSpeed?: true;
  readonly spool: string;
}

export function withIngestOptions(command: Command): Command {
  return command
    .option(
      '--format <format>',
      'csv, ndjson or parquet; by name and content when not given',
      oneOf('csv', 'ndjson', 'parquet'),
    )
    .option('--delimiter <text>', 'what separates fields: any text, or `tab`; a comma by default', delimiter)
    .option('--quote <char>', 'what quotes fields: one ASCII character, or `none`; " by default', quote)
    .option('--no-header', 'the first line is a row; --columns names the fields')
    .option('--columns <names>', 'names of the fields with commas, `-` for one that is left out', names)
    .option('--ignore <names>', 'fields that are left out, with commas; may be repeated', moreNames)
    .option('--null <token>', 'unquoted fields with this text are NULL; may be repeated', moreTokens)
    .option('--encoding <label>', 'of the files, such as windows-1252 or utf-16le; utf-8 by default', encoding)
    .option('--binary <form>', 'how text stands for bytes: base64, hex, or auto', oneOf('auto', 'base64', 'hex'))
    .option('--round', 'round decimals and seconds to what the column holds, instead of rejecting the row')
    .option('--mode <mode>', 'insert, upsert or replace; insert by default', oneOf('insert', 'upsert', 'replace'))
    .option('--max-rejects <n>', 'stop after so many rejected rows; no limit by default', count)
    .option('--rejects <file>', 'where rejected rows go: JSON lines, or CSV for a name in .csv')
    .option('--dry-run', 'check every row, write nothing')
    .option('--create', 'propose a table for a file that has none')
    .option('--yes', 'with --create: make the table')
    .option('--key <columns>', 'with --create: the primary key', names)
    .option('--again', 'load the same content once more')
    .option('--through-log', 'take the road through the log even where the direct one is open')
    .option('--as-events', 'give the rows to the consumers of the topics, as `r` events')
    .option('--full-speed', 'give way to no application on MySQL')
    .option('--spool <folder>', 'where standard input is kept', '.lockstep/spool');
}

export function readingFrom(flags: IngestFlags): WantedReading {
  if (!flags.header && flags.columns === undefined) throw usage('--no-header needs --columns');
  return {
    format: flags.format ?? null,
    delimiter: flags.delimiter ?? null,
    quote: flags.quote === undefined ? defaultReading.quote : flags.quote === 'none' ? null : flags.quote,
    header: flags.header,
    columns: flags.columns ?? null,
    ignore: flags.ignore ?? [],
    nullTokens: flags.null ?? [],
    encoding: flags.encoding ?? defaultReading.encoding,
    binary: flags.binary ?? defaultReading.binary,
    round: flags.round === true,
    chunkRows: defaultReading.chunkRows,
    chunkBytes: defaultReading.chunkBytes,
  };
}

export function optionsFrom(flags: IngestFlags): IngestOptions {
  return {
    mode: flags.mode ?? 'insert',
    maxRejects: flags.maxRejects ?? null,
    again: flags.again === true,
    throughLog: flags.throughLog === true,
    asEvents: flags.asEvents === true,
    fullSpeed: flags.fullSpeed === true,
  };
}

/** One table and its files. */
export interface Target {
  readonly table: string;
  readonly files: readonly string[];
}

/** `TABLE FILE…`, or `TABLE=FILE…` for several tables; files of one table are collected. */
export function targetsFrom(words: readonly string[]): readonly Target[] {
  const [first = '', ...rest] = words;
  const pairs = words.map((word) => /^([^=/]+)=(.+)$/s.exec(word));
  if (pairs.every((pair) => pair !== null)) {
    const files = new Map<string, string[]>();
    for (const [, table = '', file = ''] of pairs) files.set(table, [...(files.get(table) ?? []), file]);
    return Array.from(files, ([table, named]) => ({ table, files: named }));
  }
  if (rest.length === 0) throw usage('a table and at least one file are needed: lockstep ingest TABLE FILE…');
  return [{ table: first, files: rest }];
}

function usage(message: string): LockstepError {
  return new LockstepError('LS-USAGE', message);
}

function oneOf<T extends string>(...allowed: readonly T[]): (text: string) => T {
  return (text) => {
    const found = allowed.find((one) => one === text.toLowerCase());
    if (found === undefined) throw new InvalidArgumentError(`Allowed: ${allowed.join(', ')}.`);
    return found;
  };
}

function delimiter(text: string): string {
  const meant = /^(?:tab|\\t)$/i.test(text) ? '\t' : text;
  if (meant === '' || /["\r\n\ufeff]/.test(meant)) {
    throw new InvalidArgumentError('Allowed: any text without quotes and line ends, or `tab`.');
  }
  return meant;
}

function quote(text: string): string {
  if (text.toLowerCase() === 'none') return 'none';
  if (/^[!-~]$/.test(text)) return text;
  throw new InvalidArgumentError('Allowed: one ASCII character, or `none`.');
}

function names(text: string): readonly string[] {
  return text.split(',').map((name) => name.trim());
}

function moreNames(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), ...names(text)];
}

function moreTokens(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text];
}

function encoding(label: string): string {
  try {
    return new TextDecoder(label).encoding;
  } catch {
    throw new InvalidArgumentError('Allowed: names of encodings, such as utf-8, windows-1252, utf-16le, shift_jis.');
  }
}

function count(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Allowed: a number from 0 on.');
}
