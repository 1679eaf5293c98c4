/** Sizes as people write them: `512KB`, `16MB`, `10GB` (powers of 1024), or plain bytes. */

const unitBytes = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 } as const;

export const sizeForm = 'bytes, or a number with its unit, such as 512KB, 16MB or 10GB (powers of 1024)';

/** Bytes, or undefined for a text of another form. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(?:i?b)?|b)?$/i.exec(text.trim());
  if (match === null) return undefined;
  const unit = (match[2] ?? '').toLowerCase() as keyof typeof unitBytes;
  const bytes = Math.round(Number(match[1]) * unitBytes[unit]);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
