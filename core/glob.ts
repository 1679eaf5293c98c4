/** Table patterns of include and exclude: `*` stands for any run of characters, everything else for itself. */

/** Linear time whatever the pattern: only the last `*` is ever gone back to. */
export function matchesGlob(pattern: string, name: string): boolean {
  let at = 0;
  let place = 0;
  let star = -1;
  let afterStar = 0;
  while (at < name.length) {
    if (pattern[place] === '*') {
      star = place;
      afterStar = at;
      place += 1;
    } else if (place < pattern.length && pattern[place] === name[at]) {
      place += 1;
      at += 1;
    } else if (star >= 0) {
      place = star + 1;
      afterStar += 1;
      at = afterStar;
    } else {
      return false;
    }
  }
  while (pattern[place] === '*') place += 1;
  return place === pattern.length;
}

export interface TableFilter {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** Whether the filter takes the table: some include matches, no exclude does. */
export function takesTable(filter: TableFilter, table: string): boolean {
  return filter.include.some((p) => matchesGlob(p, table)) && !filter.exclude.some((p) => matchesGlob(p, table));
}
