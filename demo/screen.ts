/**
 * What the demo shows while it works: steps that stay, and below them a few lines that are drawn anew. Without a
 * terminal the same in plain lines, at most one a second.
 */
import { stripVTControlCharacters } from 'node:util';

export interface Screen {
  readonly fancy: boolean;
  /** A line that stays. */
  line(text?: string): void;
  /** A step that ended well. */
  step(label: string, text: string, ms?: number): void;
  /** Lines that are replaced by the next call; `plain` instead where nothing can be replaced. */
  live(lines: readonly string[], plain: string): void;
  /** Removes what `live` drew. */
  clear(): void;
}

export type Paint = (text: string) => string;

export interface Colours {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly green: Paint;
  readonly red: Paint;
  readonly cyan: Paint;
  readonly yellow: Paint;
}

export function coloursFor(fancy: boolean): Colours {
  const paint =
    (code: number): Paint =>
    (text) =>
      fancy ? `\u001b[${code}m${text}\u001b[0m` : text;
  return { bold: paint(1), dim: paint(2), green: paint(32), red: paint(31), cyan: paint(36), yellow: paint(33) };
}

export function openScreen(out: NodeJS.WriteStream, env: NodeJS.ProcessEnv, now: () => number): Screen {
  const fancy = out.isTTY === true && env['NO_COLOR'] === undefined && env['TERM'] !== 'dumb';
  const { dim, green } = coloursFor(fancy);
  let drawn = 0;
  let lastPlain = Number.NEGATIVE_INFINITY;

  function clear(): void {
    if (drawn > 0) out.write(`\u001b[${drawn}A\u001b[0J`);
    drawn = 0;
  }
  function line(text = ''): void {
    clear();
    out.write(`${text}\n`);
  }
  return {
    fancy,
    line,
    clear,
    step(label, text, ms) {
      const time = ms === undefined ? '' : `  ${dim(seconds(ms))}`;
      line(` ${green(fancy ? '✔' : '+')} ${label.padEnd(10)} ${text}${time}`);
    },
    live(lines, plain) {
      if (fancy) {
        clear();
        for (const text of lines) out.write(`${fit(text, out.columns)}\n`);
        drawn = lines.length;
      } else if (now() - lastPlain >= 1000) {
        lastPlain = now();
        out.write(`   ${plain}\n`);
      }
    },
  };
}

/** A line that wraps would be left behind by the next drawing. */
function fit(text: string, columns: number): string {
  const plain = stripVTControlCharacters(text);
  return plain.length < columns ? text : plain.slice(0, columns - 1);
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
