-- lockstep's own tables. {db} is the quoted state database (`lockstep` by default).
-- Only change_log is on the applications' path; everything else is touched by lockstep alone.

-- One row: whose state this is. server_uuid tells a clone or a failover; incarnation names the log that capture writes.
CREATE TABLE IF NOT EXISTS {db}.meta (
  id TINYINT UNSIGNED NOT NULL PRIMARY KEY,
  pipeline VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source_database VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  topic_prefix VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  server_uuid CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  incarnation CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  created_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  CONSTRAINT only_one CHECK (id = 1)
) ENGINE=InnoDB;

-- Tables that are or were captured: rows of the change log name them by id as long as they may. definition is the one that
-- the installed triggers cite.
CREATE TABLE IF NOT EXISTS {db}.tables (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL UNIQUE,
  definition BINARY(16) NOT NULL,
  created_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  removed_at TIMESTAMP(6) NULL
) ENGINE=InnoDB;

-- Immutable; committed before any trigger cites them; kept while any log may.
CREATE TABLE IF NOT EXISTS {db}.definitions (
  hash BINARY(16) NOT NULL PRIMARY KEY,
  table_id INT UNSIGNED NOT NULL,
  definition LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  created_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB;

-- The queue that triggers fill and capture empties. `key`, `before` and `after` are UTF-8 text in LONGBLOB: an oversize
-- value becomes NULL under the triggers' sql_mode instead of failing the application's statement.
CREATE TABLE IF NOT EXISTS {db}.change_log (
  seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  identity BINARY(8) NOT NULL,
  table_id INT UNSIGNED NOT NULL,
  op CHAR(1) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `key` LONGBLOB NULL,
  `before` LONGBLOB NULL,
  `after` LONGBLOB NULL,
  definition BINARY(16) NOT NULL,
  at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC STATS_AUTO_RECALC=0 STATS_PERSISTENT=1;

-- Markers that capture resolved: partition → offset after the last event before the marker. Old ones are removed by age.
CREATE TABLE IF NOT EXISTS {db}.markers (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  vector JSON NOT NULL,
  resolved_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  KEY resolved_at (resolved_at)
) ENGINE=InnoDB;

-- One row a table: how far its copy has come. next_key, a boundary (stores/mysql/keyWalk.ts), moves in the transaction that logs the chunk.
-- phase: `waiting` (its triggers are not in place), `needed` (not begun), `rows`, `skipped`, `orphans`, `done`. Another run supersedes it.
CREATE TABLE IF NOT EXISTS {db}.copies (
  table_id INT UNSIGNED NOT NULL PRIMARY KEY,
  run CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  phase VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reason VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  next_key LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  rows_copied BIGINT UNSIGNED NOT NULL DEFAULT 0,
  rows_estimated BIGINT UNSIGNED NOT NULL DEFAULT 0,
  orphans BIGINT UNSIGNED NOT NULL DEFAULT 0,
  -- Whether some store held anything of the table when the copy began: then keys without a row may lie there.
  look_for_orphans BOOLEAN NOT NULL DEFAULT TRUE,
  started_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  finished_at TIMESTAMP(6) NULL
) ENGINE=InnoDB;

-- Rows that a chunk did not log because an application held their lock; written in the chunk's transaction and removed in
-- the one that logs the row afterwards.
CREATE TABLE IF NOT EXISTS {db}.skipped (
  table_id INT UNSIGNED NOT NULL,
  key_hash BINARY(16) NOT NULL,
  `key` LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (table_id, key_hash)
) ENGINE=InnoDB;

-- Keys that capture set aside (a message over the broker's limit, an image that cannot be read). Stores park in themselves.
CREATE TABLE IF NOT EXISTS {db}.parked (
  table_id INT UNSIGNED NOT NULL,
  key_hash BINARY(16) NOT NULL,
  `key` LONGBLOB NOT NULL,
  reason VARCHAR(1000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  seq BIGINT UNSIGNED NOT NULL,
  at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (table_id, key_hash)
) ENGINE=InnoDB;

-- Stores that were initialised once: an empty one that stands here has lost its data.
CREATE TABLE IF NOT EXISTS {db}.stores (
  name VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  shard INT UNSIGNED NOT NULL,
  shards INT UNSIGNED NOT NULL,
  initialised_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (name, shard)
) ENGINE=InnoDB;
