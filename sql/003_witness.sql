-- The witness: how far the binary log was held against the change log, and what escaped the triggers.

-- One row. Everything before file and at_offset was held against the change log, and what escaped was re-logged or made due
-- for a copy. made_at tells one file of that name from another after the logs were reset. expected: table id → which of its
-- triggers (`iud`) had been made before the position.
CREATE TABLE IF NOT EXISTS {db}.witness (
  id TINYINT UNSIGNED NOT NULL PRIMARY KEY,
  server_uuid CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  file VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  at_offset BIGINT UNSIGNED NULL,
  made_at BIGINT UNSIGNED NULL,
  expected JSON NULL,
  seen_at TIMESTAMP(6) NULL,
  state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reason VARCHAR(1000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  CONSTRAINT only_one_witness CHECK (id = 1)
) ENGINE=InnoDB;

-- What escaped, a row a table, cause and spell. key_count NULL: only the table is known. file and at_offset: the newest
-- transaction that was counted, so that none is counted twice. again: a copy is due once the one under way is done.
CREATE TABLE IF NOT EXISTS {db}.escapes (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  table_id INT UNSIGNED NOT NULL,
  cause VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  key_count BIGINT UNSIGNED NULL,
  healing VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  file VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  at_offset BIGINT UNSIGNED NOT NULL,
  again BOOLEAN NOT NULL DEFAULT FALSE,
  since_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  last_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  healed_at TIMESTAMP(6) NULL,
  KEY of_table (table_id, cause, id),
  KEY open_ones (healed_at)
) ENGINE=InnoDB;

-- What escaped in XA transactions that are prepared: it counts once they are committed.
CREATE TABLE IF NOT EXISTS {db}.escapes_prepared (
  xid_hash BINARY(16) NOT NULL PRIMARY KEY,
  xid VARCHAR(400) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  findings LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL
) ENGINE=InnoDB;
