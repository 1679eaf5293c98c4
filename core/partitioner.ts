/**
 * Which partition a key belongs to: murmur2 of the key's bytes, as Kafka's Java client and kafkajs compute it, so that
 * another producer or consumer that partitions by key agrees with us. A key's events stay in one partition for as long
 * as the topic keeps its partition count, which is therefore pinned.
 */
const multiplier = 0x5bd1e995;
const seed = 0x9747b28c;

/** A signed 32-bit integer. */
export function murmur2(bytes: Buffer): number {
  const { length } = bytes;
  const whole = length - (length % 4);
  let hash = seed ^ length;
  for (let i = 0; i < whole; i += 4) {
    let k = Math.imul(bytes.readInt32LE(i), multiplier);
    k ^= k >>> 24;
    hash = Math.imul(hash, multiplier) ^ Math.imul(k, multiplier);
  }
  if (whole < length) {
    for (let i = length - 1; i >= whole; i--) hash ^= (bytes[i] ?? 0) << (8 * (i - whole));
    hash = Math.imul(hash, multiplier);
  }
  hash ^= hash >>> 13;
  hash = Math.imul(hash, multiplier);
  return hash ^ (hash >>> 15);
}

export function partitionOf(key: Buffer, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}
