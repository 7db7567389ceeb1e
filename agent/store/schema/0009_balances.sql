-- sync: how the money stands of those that this node works for, as the registry said it last.
CREATE TABLE tenant_balance (
    tenant_id     TEXT PRIMARY KEY,
    state         TEXT NOT NULL,
    hourly_micros INTEGER NOT NULL CHECK (hourly_micros >= 0)
) STRICT, WITHOUT ROWID;
