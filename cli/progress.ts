/** Progress on stderr: one line that changes on a terminal, a plain line now and then elsewhere. */

export interface Progress {
  show(line: string): void;
  /** Leaves the terminal on a fresh line. */
  end(): void;
}

/** Without a terminal, lines come at most this often. */
const plainEveryMs = 2_000;

export function openProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  let shownAt = Date.now();
  let painted = false;
  return {
    show(line) {
      if (stream.isTTY) {
        stream.write(`\r\u001b[K${line.slice(0, stream.columns - 1)}`);
        painted = true;
      } else if (Date.now() - shownAt >= plainEveryMs) {
        shownAt = Date.now();
        stream.write(`${line}\n`);
      }
    },
    end() {
      if (painted) stream.write('\r\u001b[K');
      painted = false;
    },
  };
}

/** As much of a text as a terminal shows without scrolling. */
export function fitted(text: string, columns: number, rows: number): string {
  const lines = text.split('\n').map((line) => (line.length > columns ? `${line.slice(0, columns - 1)}…` : line));
  return (lines.length > rows ? [...lines.slice(0, rows - 1), '…'] : lines).join('\n');
}
