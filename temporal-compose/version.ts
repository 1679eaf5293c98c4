/**
 * Versions of servers: reading them out of whatever a program prints, and holding them against what lockstep supports.
 */
export type Version = readonly number[];

/** From `from` (inclusive) up to `below` (exclusive; absent: no upper end). */
export interface VersionRange {
  readonly from: Version;
  readonly below?: Version;
}

/** The first dotted number in the text, after `marker` when one is given: "Ver 9.7.4-2 for Linux" gives [9, 7, 4]. */
export function parseVersion(text: string, marker = ''): Version | undefined {
  const start = marker === '' ? 0 : text.indexOf(marker);
  if (start < 0) return undefined;
  const match = /\d+(?:\.\d+)+/.exec(text.slice(start + marker.length));
  return match?.[0].split('.').map(Number);
}

export function compareVersions(a: Version, b: Version): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function isSupported(version: Version, range: VersionRange): boolean {
  return (
    compareVersions(version, range.from) >= 0 &&
    (range.below === undefined || compareVersions(version, range.below) < 0)
  );
}

export function describeVersion(version: Version): string {
  return version.join('.');
}

/** "8.4 or newer, below 10": how a person reads the range. */
export function describeRange(range: VersionRange): string {
  const from = `${describeVersion(range.from)} or newer`;
  return range.below === undefined ? from : `${from}, below ${describeVersion(range.below)}`;
}
