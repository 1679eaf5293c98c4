/**
 * Progress as plain lines with the seconds since the start. A first set-up takes minutes, so anything slow repeats what
 * it is doing: silence would look like a hang.
 */
export type Report = (line: string) => void;

const repeatEveryMs = 15_000;

export class Progress {
  readonly #report: Report;
  readonly #startedAt: number;
  readonly #now: () => number;

  constructor(report: Report, now: () => number = Date.now) {
    this.#report = report;
    this.#now = now;
    this.#startedAt = now();
  }

  get elapsedSeconds(): number {
    return (this.#now() - this.#startedAt) / 1000;
  }

  line(subject: string, text: string): void {
    this.#report(`${this.elapsedSeconds.toFixed(1).padStart(6)} s  ${subject.padEnd(8)}  ${text}`);
  }

  /** Says `text` now and again while `work` runs, and how long it took. */
  async during<T>(subject: string, text: string, work: () => Promise<T>): Promise<T> {
    const from = this.#now();
    const seconds = (): string => `${((this.#now() - from) / 1000).toFixed(0)} s`;
    this.line(subject, text);
    const timer = setInterval(() => this.line(subject, `still ${text} (${seconds()} so far)`), repeatEveryMs);
    try {
      const result = await work();
      this.line(subject, `done ${text} (${seconds()})`);
      return result;
    } finally {
      clearInterval(timer);
    }
  }
}
