-- Sweeps, what they found, and what was done about it. Keys stand here and in the stores, never in a Temporal history.

-- One row a sweep. state: `running`, `done`, `ended` (before it was through: it can be taken up again).
CREATE TABLE IF NOT EXISTS {db}.sweeps (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  scope JSON NOT NULL,
  asked_by VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'running',
  started_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  finished_at TIMESTAMP(6) NULL,
  KEY started_at (started_at)
) ENGINE=InnoDB;

-- One row a table of a sweep. next_key: boundary behind the last chunk that was cut; cut_all: no row lies behind it.
-- state: `due`, `done`, `left-out` (reason says why). marker: ends of the log before the first row was read.
CREATE TABLE IF NOT EXISTS {db}.sweep_tables (
  sweep CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'due',
  reason VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  definition BINARY(16) NULL,
  copy_run CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  rows_estimated BIGINT UNSIGNED NOT NULL DEFAULT 0,
  chunks INT UNSIGNED NOT NULL DEFAULT 0,
  next_key LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  cut_all BOOLEAN NOT NULL DEFAULT FALSE,
  marker JSON NULL,
  began_at TIMESTAMP(6) NULL,
  PRIMARY KEY (sweep, name)
) ENGINE=InnoDB;

-- Chunks of the rows (pass `rows`: after_key, up_to are boundaries) and of what a store holds (pass `mongo`, `redis`: up_to
-- is the store's own place to go on from). A finished one is written with the drift that it found, in one transaction.
CREATE TABLE IF NOT EXISTS {db}.sweep_chunks (
  sweep CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  pass VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  number INT UNSIGNED NOT NULL,
  after_key LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  up_to LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  counts JSON NULL,
  finished_at TIMESTAMP(6) NULL,
  PRIMARY KEY (sweep, name, pass, number)
) ENGINE=InnoDB;

-- Differences that survived their rechecks. A key has one open entry a store at most; healed_at closes it.
CREATE TABLE IF NOT EXISTS {db}.drift (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  store VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  key_hash BINARY(16) NOT NULL,
  `key` LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  cause VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  evidence JSON NOT NULL,
  found_by VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  sweep CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  found_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  seen_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  repaired_at TIMESTAMP(6) NULL,
  healed_at TIMESTAMP(6) NULL,
  open TINYINT GENERATED ALWAYS AS (IF(healed_at IS NULL, 1, NULL)) VIRTUAL,
  UNIQUE KEY one_open (name, store, key_hash, open),
  KEY sweep (sweep, id),
  KEY found_at (found_at)
) ENGINE=InnoDB;

-- Keys that were re-logged to repair them. outcome: `logged` (its row), `deleted` (there was none), `skipped`.
CREATE TABLE IF NOT EXISTS {db}.repairs (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  key_hash BINARY(16) NOT NULL,
  outcome VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  asked_by VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  sweep CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  KEY at (at),
  KEY name (name, key_hash)
) ENGINE=InnoDB;

-- The last complete sweep of a table and store. through: when it was last right as a whole; NULL: it never was. marker: ends of
-- the log before the sweep: what was applied by then is known to have landed, so a difference later is not a lost apply.
CREATE TABLE IF NOT EXISTS {db}.swept (
  name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  store VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  sweep CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  through TIMESTAMP(6) NULL,
  marker JSON NOT NULL,
  drift BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (name, store)
) ENGINE=InnoDB;

-- Whether the table was ever copied to its end: only then may a copy that mends something wait until it is asked for.
ALTER TABLE {db}.copies ADD COLUMN done_before BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE {db}.copies SET done_before = TRUE WHERE phase = 'done';
