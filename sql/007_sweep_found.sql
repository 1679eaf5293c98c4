-- What each sweep found. A key that several sweeps find, one after the other or at once, has one entry in `drift` and counts
-- for each of them.
CREATE TABLE IF NOT EXISTS {db}.sweep_found (
  sweep CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  drift BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (sweep, drift)
) ENGINE=InnoDB;
INSERT IGNORE INTO {db}.sweep_found (sweep, drift) SELECT sweep, id FROM {db}.drift WHERE sweep IS NOT NULL;

-- Whether more of the table drifted than may be repaired unasked: nothing of it was.
ALTER TABLE {db}.sweep_tables ADD COLUMN too_much BOOLEAN NOT NULL DEFAULT FALSE;
