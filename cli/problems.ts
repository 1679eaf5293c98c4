/** Problems as a list for people: what was found, and below it what to do. */
import type { Problem } from '../core/problem.js';

export function problemLines(problems: readonly Problem[]): string {
  return problems
    .map(({ severity, code, message, fix }) => `${severity} ${code}: ${indent(message)}\n  → ${indent(fix)}`)
    .join('\n');
}

function indent(text: string): string {
  return text.replaceAll('\n', '\n    ');
}
