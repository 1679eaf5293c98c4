/** Proves what a pipeline needs of every server before anything is installed. Each store brings its own check. */
import type { Config } from '../core/config.js';
import type { Problem } from '../core/problem.js';
import { checkWitness } from '../stores/mysql/binlogFacts.js';
import { checkMysql } from '../stores/mysql/check.js';

export interface PreflightDeps {
  readonly config: Config;
  /** The checks of the other servers, from the composition root. */
  readonly checks: readonly ((config: Config) => Promise<readonly Problem[]>)[];
}

/** Every problem of every server at once, errors first. */
export async function preflight(deps: PreflightDeps): Promise<readonly Problem[]> {
  const { config, checks } = deps;
  const found = await Promise.all([
    checkMysql(config.mysql),
    checkWitness(config),
    ...checks.map((check) => check(config)),
  ]);
  return found.flat().toSorted((a, b) => rank(a) - rank(b));
}

function rank(problem: Problem): number {
  return problem.severity === 'error' ? 0 : 1;
}
