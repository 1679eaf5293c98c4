/** Why a value or a record cannot be loaded: data that travels in place of the value. Never holds the value. */
import type { RejectReason } from './ingest.js';

export class Fault {
  readonly reason: RejectReason;
  readonly detail: string | null;

  constructor(reason: RejectReason, detail: string | null = null) {
    this.reason = reason;
    this.detail = detail;
  }
}
