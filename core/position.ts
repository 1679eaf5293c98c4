/** Where a stage resumes in the log. Kept inside the store it belongs to, moved in the same write as the data. */

/** `<topic>/<partition>`; a topic name cannot hold a slash. */
export type PartitionName = string;

export interface Position {
  /** Next raw offset to read; control records count. */
  readonly offset: number;
  /** Ordinal of the last event at or before it; 0 at the beginning. */
  readonly ordinal: number;
}

export type Positions = ReadonlyMap<PartitionName, Position>;

/** Partition → the offset after the last event that must have been applied. */
export type OffsetVector = ReadonlyMap<PartitionName, number>;

export function partitionName(topic: string, partition: number): PartitionName {
  return `${topic}/${partition}`;
}

export function splitPartitionName(name: PartitionName): { topic: string; partition: number } {
  const slash = name.lastIndexOf('/');
  return { topic: name.slice(0, slash), partition: Number(name.slice(slash + 1)) };
}

/** Whether every partition of the vector has been passed. */
export function hasPassed(positions: Positions, vector: OffsetVector): boolean {
  for (const [name, offset] of vector) {
    if (offset > 0 && (positions.get(name)?.offset ?? 0) < offset) return false;
  }
  return true;
}
