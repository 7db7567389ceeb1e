-- usage_log: nothing that was used before counts: an earlier log of this node did, or was lost.
ALTER TABLE usage_log ADD COLUMN counted_from_ms INTEGER NOT NULL DEFAULT 0;
