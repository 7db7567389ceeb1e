-- accelerators: who holds which GPU
CREATE TABLE gpu_claim (
    uuid          TEXT PRIMARY KEY,
    allocation_id TEXT NOT NULL,
    since_ms      INTEGER NOT NULL
) STRICT;
CREATE INDEX gpu_claim_by_allocation ON gpu_claim (allocation_id);

-- health: findings that are open now
CREATE TABLE finding (
    code     TEXT NOT NULL,
    subject  TEXT NOT NULL,
    severity TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    since_ms INTEGER NOT NULL,
    detail   TEXT NOT NULL,
    remedy   TEXT NOT NULL,
    PRIMARY KEY (code, subject)
) STRICT, WITHOUT ROWID;
