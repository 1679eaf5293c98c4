-- Which workflow carries a sweep: one whose workflow was terminated has told nobody that it ended.
ALTER TABLE {db}.sweeps
  ADD COLUMN workflow VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD COLUMN run VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL;
