/**
 * Which broker leads which partition, as far as a reader knows: looked up when a topic is new or a broker said that
 * something moved, one look at a time, and less and less often while it does not help.
 */
import type { LockstepError } from '../../core/errors.js';
import type { Brokers, TopicLeaders } from './brokers.js';
import { kafkaError } from './client.js';

const missingAfterMs = 3_000;
const backoffMs = { first: 50, most: 1_000 };

export class LeaderWatch {
  readonly #brokers: Brokers;
  readonly #failed: (error: LockstepError) => void;
  readonly #missingSince = new Map<string, number>();
  #topics: ReadonlyMap<string, TopicLeaders> = new Map();
  #look: Promise<void> | null = null;
  #stale = true;
  #lookAfter = 0;
  #pauseMs = 0;

  constructor(brokers: Brokers, failed: (error: LockstepError) => void) {
    this.#brokers = brokers;
    this.#failed = failed;
  }

  get topics(): ReadonlyMap<string, TopicLeaders> {
    return this.#topics;
  }

  /** The look that is under way; it never rejects. */
  get look(): Promise<void> | null {
    return this.#look;
  }

  /** Before then nothing new is known of what met an error. */
  get lookAfter(): number {
    return this.#lookAfter;
  }

  /** The topic does not exist, and has not for a while. */
  isMissing(topic: string): boolean {
    const since = this.#missingSince.get(topic);
    return since !== undefined && Date.now() - since >= missingAfterMs;
  }

  /** Starts a look where one is due. */
  follow(topics: ReadonlySet<string>): void {
    if (this.#look !== null) return;
    const unknown = [...topics].some((topic) => !this.#topics.has(topic) && !this.#missingSince.has(topic));
    if (!unknown && (!this.#stale || Date.now() < this.#lookAfter)) return;
    this.#look = this.#brokers.leaders([...topics]).then(
      (found) => this.#learned(topics, found),
      (error: unknown) => {
        this.#look = null;
        this.lookAgain();
        this.#failed(kafkaError(error, 'read the log'));
      },
    );
  }

  /** What is known may be wrong. */
  lookAgain(): void {
    this.#stale = true;
    this.#pauseMs = Math.min(backoffMs.most, Math.max(backoffMs.first, this.#pauseMs * 2));
    this.#lookAfter = Date.now() + this.#pauseMs;
  }

  #learned(topics: ReadonlySet<string>, found: ReadonlyMap<string, TopicLeaders>): void {
    this.#look = null;
    this.#topics = found;
    this.#stale = false;
    const now = Date.now();
    for (const topic of this.#missingSince.keys()) {
      if (found.has(topic) || !topics.has(topic)) this.#missingSince.delete(topic);
    }
    for (const topic of topics) {
      if (!found.has(topic) && !this.#missingSince.has(topic)) this.#missingSince.set(topic, now);
    }
    const leaderless = [...found.values()].some((topic) => topic.leaders.size < topic.partitions);
    if (this.#missingSince.size > 0 || leaderless) this.lookAgain();
    else this.#pauseMs = 0;
  }
}
