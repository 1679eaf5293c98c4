/**
 * The order of chunks of which two are on their way into MySQL at a time, each in a transaction of its own: while what one
 * brought is compared, the next one's rows are written. They stay in the file's order all the same: a chunk's rows begin behind
 * the rows of the one before, and it commits behind that one's commit. One that has to try again sends the next one back,
 * since that may hold what it waits for.
 */
export type Fate =
  /** It is in: the next one may commit. */
  | 'go'
  /** It tries again: whoever stands behind it lets go of everything, and waits until it is decided. */
  | 'again'
  /** Nothing may follow it. */
  | 'stop';

export class Turn {
  /** Its rows are written, or nothing will come of it. */
  readonly rowsWritten: Promise<void>;
  /** What is known first. */
  readonly fate: Promise<Fate>;
  /** Whether the next one may follow. */
  readonly decided: Promise<boolean>;
  #writeRows: () => void = () => undefined;
  #tell: (fate: Fate) => void = () => undefined;
  #decide: (goOn: boolean) => void = () => undefined;

  constructor() {
    this.rowsWritten = new Promise((resolve) => (this.#writeRows = resolve));
    this.fate = new Promise((resolve) => (this.#tell = resolve));
    this.decided = new Promise((resolve) => (this.#decide = resolve));
  }

  rowsAreWritten(): void {
    this.#writeRows();
  }

  triesAgain(): void {
    this.#tell('again');
  }

  /** The first word stands. */
  decide(goOn: boolean): void {
    this.#tell(goOn ? 'go' : 'stop');
    this.#decide(goOn);
    this.#writeRows();
  }
}

/** The chunk before tries again: this one begins anew behind it. */
export class SentBack extends Error {
  override readonly name = 'SentBack';
}

/** Nothing may follow the chunk before. */
export class TurnOver extends Error {
  override readonly name = 'TurnOver';
}
