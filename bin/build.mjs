/// <reference types="node" />
// `npm run build`: everything that lies in dist/, one step after the other. A new step is a new entry in `steps`.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');

const steps = [
  { name: 'compile', run: compile },
  { name: 'prune', run: prune },
  { name: 'bundle workflows', run: bundleWorkflows },
];

/**
 * The program of a package, run by this Node: no shell, no PATH.
 * @param {string} name @param {string} program @param {readonly string[]} args
 */
function runPackage(name, program, args) {
  const manifest = createRequire(join(root, 'package.json')).resolve(`${name}/package.json`);
  const { status, error } = spawnSync(process.execPath, [join(dirname(manifest), program), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  if (error) throw error;
  return status === 0;
}

function compile() {
  return runPackage('typescript', 'bin/tsc', ['-p', 'tsconfig.json']);
}

/** Removes what was compiled from files that are gone: a test or workflow that was deleted must not live on in dist. */
function prune() {
  for (const entry of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
    const source = /^(.*)\.(js|js\.map|d\.ts)$/.exec(entry)?.[1];
    if (source !== undefined && !isKept(entry) && !existsSync(join(root, `${source}.ts`))) rmSync(join(dist, entry));
  }
  return true;
}

/**
 * Made by a step of its own, not compiled from a file of the same name.
 * @param {string} entry
 */
function isKept(entry) {
  return /(^|[/\\])bundles?[/\\]/.test(entry);
}

/** A worker that bundles its workflows itself starts 1.7 s later. */
async function bundleWorkflows() {
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(dist, 'workflows', 'index.js'),
    logger: new DefaultLogger('WARN'),
  });
  mkdirSync(join(dist, 'bundles'), { recursive: true });
  writeFileSync(join(dist, 'bundles', 'workflows.js'), code);
  return true;
}

const startedAt = Date.now();
for (const step of steps) {
  if (!(await step.run())) {
    console.error(`build: ${step.name} failed`);
    process.exit(1);
  }
}
console.log(`built ${relative(process.cwd(), dist) || 'dist'} in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
