-- Whose end `last_key` is: a run that was asked for by an earlier version, which knows neither, has none.
ALTER TABLE {db}.copies ADD COLUMN last_run CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL;
