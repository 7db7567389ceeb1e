-- gateway: which entry of the usage log has the root over a call's row; null for calls of before.
ALTER TABLE call ADD COLUMN entry_idx INTEGER;

CREATE INDEX call_by_entry ON call (entry_idx) WHERE entry_idx IS NOT NULL;
