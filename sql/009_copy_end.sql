-- The table's last key when its copy began. What came behind it since is captured: a copy beside a load ran after every row of it.
ALTER TABLE {db}.copies ADD COLUMN last_key LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL;
