-- How far each store was verified. `positions` (partition → [offset, ordinal]) moves in the transaction that writes what was
-- found before it, and only by the process whose `run` stands here: so nothing is skipped and nothing is counted twice.
-- epoch, incarnation, applied: the store's own when it was looked at last; a store that shows less has fallen back.
-- through: everything committed in MySQL before it is verified, in all tables but those in `behind` (table → milliseconds).
CREATE TABLE IF NOT EXISTS {db}.verified (
  store VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  shard INT UNSIGNED NOT NULL,
  run CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  epoch BIGINT UNSIGNED NOT NULL DEFAULT 0,
  incarnation CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  applied BIGINT UNSIGNED NOT NULL DEFAULT 0,
  positions JSON NOT NULL,
  events BIGINT UNSIGNED NOT NULL DEFAULT 0,
  differences BIGINT UNSIGNED NOT NULL DEFAULT 0,
  unverified BIGINT UNSIGNED NOT NULL DEFAULT 0,
  through TIMESTAMP(6) NULL,
  behind JSON NOT NULL,
  saved_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (store, shard)
) ENGINE=InnoDB;
