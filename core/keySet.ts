/** A digest of a set of keys that does not depend on their order: equal digests, equal sets. Pure. */

export class KeySetDigest {
  #count = 0;
  #first = 0;
  #second = 0;

  add(key: Buffer | string): void {
    const bytes = typeof key === 'string' ? Buffer.from(key) : key;
    this.#count++;
    this.#first ^= mixed(bytes, 0x9747b28c);
    this.#second = (this.#second + mixed(bytes, 0x2545f491)) | 0;
  }

  get text(): string {
    return `${this.#count}:${this.#first >>> 0}:${this.#second >>> 0}`;
  }
}

/** FNV-1a with the finish of MurmurHash3, so that keys which differ in their last digit have nothing in common. */
function mixed(bytes: Uint8Array, seed: number): number {
  let hash = seed ^ bytes.length;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
