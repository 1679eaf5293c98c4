/** The package's version, read where the package lies: beside dist/, or beside workers/ when run from the sources. */
import { existsSync, readFileSync } from 'node:fs';

export function version(): string {
  const near = ['../package.json', '../../package.json'].map((path) => new URL(path, import.meta.url));
  const file = near.find((url) => existsSync(url));
  if (file === undefined) return 'unknown';
  const manifest = JSON.parse(readFileSync(file, 'utf8')) as { readonly version?: string };
  return manifest.version ?? 'unknown';
}
