-- usage_log: what the registry has cosigned is sealed, 256 entries at a time (C2SP tlog-tiles).
-- entries: the entry bundle, gzip.  hashes: the tile of level 0, the leaf hashes noted at writing.
CREATE TABLE usage_bundle (
    number  INTEGER PRIMARY KEY,
    entries BLOB NOT NULL,
    hashes  BLOB NOT NULL CHECK (length(hashes) = 8192)
) STRICT;

-- Roots over 256, 65,536, … entries: level 1, 2, … as tiles count them.
CREATE TABLE usage_tile_root (
    level  INTEGER NOT NULL CHECK (level >= 1),
    number INTEGER NOT NULL,
    root   BLOB NOT NULL CHECK (length(root) = 32),
    PRIMARY KEY (level, number)
) STRICT, WITHOUT ROWID;

-- Entries that were written after an old copy of this database had been put back, in the place of
-- others that the registry has.  Nobody signed them and nobody bills them; they are kept to look at.
CREATE TABLE usage_set_aside (
    idx       INTEGER NOT NULL,
    entry     BLOB NOT NULL,
    at_ms     INTEGER NOT NULL,
    PRIMARY KEY (idx, at_ms)
) STRICT, WITHOUT ROWID;

-- An entry leaves its row only into a bundle, or set aside.
DROP TRIGGER usage_entry_is_kept;

CREATE TRIGGER usage_entry_is_kept BEFORE DELETE ON usage_entry
WHEN NOT EXISTS (SELECT 1 FROM usage_bundle WHERE number = OLD.idx / 256)
    AND NOT EXISTS (
        SELECT 1 FROM usage_set_aside WHERE idx = OLD.idx AND entry = OLD.entry
    )
BEGIN
    SELECT RAISE(ABORT, 'entries of the usage log are never removed');
END;

CREATE TRIGGER usage_bundle_is_only_added BEFORE UPDATE ON usage_bundle
BEGIN
    SELECT RAISE(ABORT, 'bundles of the usage log are never changed');
END;

CREATE TRIGGER usage_bundle_is_kept BEFORE DELETE ON usage_bundle
BEGIN
    SELECT RAISE(ABORT, 'bundles of the usage log are never removed');
END;
