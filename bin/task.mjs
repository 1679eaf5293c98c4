/// <reference types="node" />
// `npm test`, `npm run demo` and `npm run bench`, as the first and only command on a fresh clone: installs what is missing,
// builds, runs.
// Plain JavaScript without dependencies, since there are none yet when it starts.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const startedAt = Date.now();
const repeatEveryMs = 15_000;
/** Where the tests leave their result for a machine to read. */
const report = join(root, '.lockstep', 'report', 'tests.json');

const tasks = { bench, demo, test };

/** @param {string} text */
function say(text) {
  console.error(`[${((Date.now() - startedAt) / 1000).toFixed(1).padStart(6)} s] ${text}`);
}

/**
 * Runs a program, saying now and again that it still runs, unless it speaks for itself.
 * @param {string} what @param {string} program @param {readonly string[]} args @param {NodeJS.ProcessEnv} [env]
 * @param {boolean} [speaks] @returns {Promise<boolean>} whether it ended well
 */
function run(what, program, args, env = {}, speaks = false) {
  say(what);
  const from = Date.now();
  const remind = () => say(`still ${what} (${Math.round((Date.now() - from) / 1000)} s)`);
  const timer = setInterval(speaks ? () => {} : remind, repeatEveryMs);
  return new Promise((resolve, reject) => {
    const shell = process.platform === 'win32' && program === 'npm';
    const child = spawn(program, args, { cwd: root, stdio: 'inherit', shell, env: { ...process.env, ...env } });
    // The terminal sends Ctrl-C to the child as well; we only wait for what it does about it.
    const wait = () => {};
    process.on('SIGINT', wait);
    const forward = () => child.kill('SIGTERM');
    process.on('SIGTERM', forward);
    process.on('SIGHUP', forward);
    child.once('error', reject);
    child.once('close', (code) => {
      clearInterval(timer);
      process.off('SIGINT', wait);
      process.off('SIGTERM', forward);
      process.off('SIGHUP', forward);
      resolve(code === 0);
    });
  });
}

/**
 * @param {string} what @param {string} file @param {readonly string[]} args @param {NodeJS.ProcessEnv} [env]
 * @param {boolean} [speaks]
 */
function runNode(what, file, args, env, speaks) {
  return run(what, process.execPath, [join(root, file), ...args], env, speaks);
}

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  say(`Node 20.19 or newer is needed; this is ${process.versions.node}`);
  process.exit(2);
}

/** @typedef {{ packages: Record<string, { version?: string, optional?: boolean }> }} Lockfile */

/** @param {string} file */
function lockedPackages(file) {
  const lock = /** @type {Lockfile} */ (JSON.parse(readFileSync(file, 'utf8')));
  return lock.packages;
}

/** npm writes its own lockfile into node_modules last: it tells what was installed whole. Times of files do not. */
function isInstalled() {
  const installed = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installed)) return false;
  const have = lockedPackages(installed);
  const want = lockedPackages(join(root, 'package-lock.json'));
  return Object.entries(want).every(
    ([path, { version, optional }]) => path === '' || (have[path]?.version ?? (optional && version)) === version,
  );
}

async function prepare() {
  requireNode();
  if (!isInstalled()) {
    const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    if (!(await run('installing dependencies (npm ci)', 'npm', args))) return false;
  }
  return await runNode('building', 'bin/build.mjs', []);
}

/** @param {readonly string[]} args */
async function demo(args) {
  if (!(await prepare())) return false;
  return await runNode('running the demo', 'dist/demo/main.js', args, {}, true);
}

/** @param {readonly string[]} args names of benches; all of them by default */
async function bench(args) {
  if (!(await prepare())) return false;
  return await runNode('measuring', 'dist/bench/run.js', args, {}, true);
}

/** Types are checked by the build. @returns {Promise<boolean>} */
async function check() {
  const format = await runNode('checking the format', 'node_modules/prettier/bin/prettier.cjs', [
    '--check',
    '--log-level=warn',
    '.',
  ]);
  const lint = await runNode('linting', 'node_modules/oxlint/bin/oxlint', ['--type-aware', '--deny-warnings']);
  return format && lint;
}

/** @typedef {{ numPassedTests: number, numFailedTests: number, numPendingTests: number }} Total */

/** `--keep` is ours; all other arguments go to vitest: names of files, `--project unit`, `-t name`. @param {readonly string[]} args */
async function test(args) {
  rmSync(report, { force: true });
  if (!(await prepare())) return false;
  const checked = await check();
  const rest = args.filter((arg) => arg !== '--keep');
  mkdirSync(dirname(report), { recursive: true });
  const passed = await runNode(
    'running the tests',
    'node_modules/vitest/vitest.mjs',
    ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...rest],
    args.includes('--keep') ? { LOCKSTEP_TEST_KEEP: '1' } : {},
    true,
  );
  if (existsSync(report)) {
    const total = /** @type {Total} */ (JSON.parse(readFileSync(report, 'utf8')));
    say(`tests: ${total.numPassedTests} passed, ${total.numFailedTests} failed, ${total.numPendingTests} skipped`);
  }
  if (!checked) say('format or lint: failed (see above)');
  return checked && passed;
}

const [name = '', ...args] = process.argv.slice(2);
const task = Object.entries(tasks).find(([known]) => known === name)?.[1];
if (task === undefined) {
  console.error(`usage: node bin/task.mjs ${Object.keys(tasks).join('|')} [arguments]`);
  process.exit(2);
}
const good = await task(args);
say(good ? `${name}: done` : `${name}: FAILED`);
process.exit(good ? 0 : 1);
