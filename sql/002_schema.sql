-- The history of the source's tables: one row a change that was noticed, for good. `changes` is a list as core/schemaChange.ts
-- has it; the definitions are those of the whole table. published_at: when it reached the topic <prefix>.lockstep.schema.
CREATE TABLE IF NOT EXISTS {db}.schema_changes (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  definition_before BINARY(16) NULL,
  definition_after BINARY(16) NULL,
  changes LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  policy VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  consequence VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  noticed_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  published_at TIMESTAMP(6) NULL,
  KEY unpublished (published_at, id),
  KEY of_table (table_name, id)
) ENGINE=InnoDB;

-- What the history ends with, a row a captured table: its definition in the source, and the change that holds it paused.
CREATE TABLE IF NOT EXISTS {db}.schemas (
  table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
  definition BINARY(16) NULL,
  held_by BIGINT UNSIGNED NULL
) ENGINE=InnoDB;

-- Definitions under whose keys stores may still hold rows of a table whose key has changed: its next copy deletes those first.
CREATE TABLE IF NOT EXISTS {db}.old_keys (
  table_id INT UNSIGNED NOT NULL,
  definition BINARY(16) NOT NULL,
  PRIMARY KEY (table_id, definition)
) ENGINE=InnoDB;

-- Definitions that a reader of the log misses in their topic: capture publishes them again.
CREATE TABLE IF NOT EXISTS {db}.wanted_definitions (
  hash BINARY(16) NOT NULL PRIMARY KEY,
  asked_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB;

-- Files of `schema apply`: how many of their statements have run, and the one that is running with what its table looked
-- like before and should look like after it, so that a killed run is gone on with.
CREATE TABLE IF NOT EXISTS {db}.schema_applies (
  file_hash BINARY(16) NOT NULL PRIMARY KEY,
  done INT UNSIGNED NOT NULL DEFAULT 0,
  running LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  started_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  finished_at TIMESTAMP(6) NULL
) ENGINE=InnoDB;
