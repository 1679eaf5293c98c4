-- Bulk ingestion: what was asked for, which chunks are in, which input rows are not.

-- One row an ingest. The same content into the same table is the same ingest, unless it was asked for again.
-- epoch is raised at each take-over: a chunk's transaction reads it under a shared lock, so a predecessor writes nothing any more.
-- held: the direct road is under way, so no triggers are put on the table until it ends.
CREATE TABLE IF NOT EXISTS {db}.ingests (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL UNIQUE,
  table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  content BINARY(32) NOT NULL,
  again INT UNSIGNED NOT NULL DEFAULT 0,
  plan LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  options LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  phase VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  road VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  held BOOLEAN NOT NULL,
  epoch INT UNSIGNED NOT NULL DEFAULT 0,
  -- The copy that proves the table after the direct road.
  copy_run CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  report LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  started_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  finished_at TIMESTAMP(6) NULL,
  UNIQUE KEY content (table_name, content, again)
) ENGINE=InnoDB;

-- One row a chunk, written in the transaction that writes the chunk's rows: it decides whether they are in. Chunks go in by
-- their number, so the highest one tells where the files are read on (next_point, NULL behind the last).
-- row_keys: what the rows lie under, until the chunk has landed in every store.
-- altered: rows that MySQL holds otherwise than the file gives them (a BEFORE trigger). changed: rows that an application changed
-- before the chunk was compared; parked: rows that a store cannot hold.
CREATE TABLE IF NOT EXISTS {db}.ingest_chunks (
  ingest INT UNSIGNED NOT NULL,
  number INT UNSIGNED NOT NULL,
  accepted INT UNSIGNED NOT NULL,
  rejected INT UNSIGNED NOT NULL,
  altered INT UNSIGNED NOT NULL,
  bytes BIGINT UNSIGNED NOT NULL,
  digest BINARY(32) NOT NULL,
  row_keys LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  next_point JSON NULL,
  landed BOOLEAN NOT NULL DEFAULT FALSE,
  changed INT UNSIGNED NOT NULL DEFAULT 0,
  parked INT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (ingest, number),
  KEY landed (ingest, landed)
) ENGINE=InnoDB;

-- Input rows that are not in the table, with the reason; written with their chunk's row.
CREATE TABLE IF NOT EXISTS {db}.ingest_rejects (
  ingest INT UNSIGNED NOT NULL,
  chunk INT UNSIGNED NOT NULL,
  place INT UNSIGNED NOT NULL,
  file INT UNSIGNED NOT NULL,
  line BIGINT UNSIGNED NOT NULL,
  reason VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  column_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  detail VARCHAR(1000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  raw LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (ingest, chunk, place)
) ENGINE=InnoDB;

-- How far an ingest is, for those who watch it. Decides nothing.
CREATE TABLE IF NOT EXISTS {db}.ingest_progress (
  ingest INT UNSIGNED NOT NULL PRIMARY KEY,
  progress LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB;
