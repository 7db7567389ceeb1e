-- usage_log: every entry in its one byte form, and the right edge of the tree over them.
-- leaf is the hash noted at writing, so that a damaged entry can be named.
-- registry_size is how much the registry last said it has; accepted_* what it has cosigned.
CREATE TABLE usage_entry (
    idx   INTEGER PRIMARY KEY,
    leaf  BLOB NOT NULL CHECK (length(leaf) = 32),
    entry BLOB NOT NULL
) STRICT;

CREATE TRIGGER usage_entry_is_only_added BEFORE UPDATE ON usage_entry
BEGIN
    SELECT RAISE(ABORT, 'entries of the usage log are never changed');
END;

CREATE TRIGGER usage_entry_is_kept BEFORE DELETE ON usage_entry
BEGIN
    SELECT RAISE(ABORT, 'entries of the usage log are never removed');
END;

CREATE TABLE usage_log (
    id                INTEGER PRIMARY KEY CHECK (id = 1),
    origin            TEXT NOT NULL,
    epoch             INTEGER NOT NULL CHECK (epoch >= 0),
    size              INTEGER NOT NULL CHECK (size >= 0),
    frontier          BLOB NOT NULL,
    registry_size     INTEGER NOT NULL CHECK (registry_size >= 0),
    accepted_size     INTEGER NOT NULL CHECK (accepted_size BETWEEN 0 AND size),
    accepted_frontier BLOB NOT NULL,
    accepted_note     TEXT,
    parked_code       TEXT,
    parked_why        TEXT
) STRICT;

CREATE TABLE stream (
    alc         TEXT NOT NULL,
    meter       TEXT NOT NULL,
    sku         TEXT NOT NULL,
    last_end_ms INTEGER NOT NULL,
    cumulative  INTEGER NOT NULL CHECK (cumulative >= 0),
    PRIMARY KEY (alc, meter, sku)
) STRICT, WITHOUT ROWID;

-- leases: what may be spent here, and who has set aside how much of it for work under way.
-- listed: the registry's last answer named the lease.
-- exhausted: it has less left than running work needs for its next stretch.
CREATE TABLE lease (
    lease_id           INTEGER PRIMARY KEY,
    tenant_id          TEXT NOT NULL,
    amount             INTEGER NOT NULL CHECK (amount > 0),
    spent              INTEGER NOT NULL CHECK (spent >= 0),
    reserved           INTEGER NOT NULL CHECK (reserved >= 0),
    expires_at_boot_ms INTEGER NOT NULL,
    boot_id            TEXT NOT NULL,
    recalled           INTEGER NOT NULL CHECK (recalled IN (0, 1)),
    closed             INTEGER NOT NULL CHECK (closed IN (0, 1)),
    listed             INTEGER NOT NULL CHECK (listed IN (0, 1)),
    exhausted          INTEGER NOT NULL CHECK (exhausted IN (0, 1)),
    CHECK (spent + reserved <= amount),
    CHECK (closed = 0 OR reserved = 0)
) STRICT;
CREATE INDEX lease_open_by_tenant ON lease (tenant_id) WHERE closed = 0;

CREATE TABLE reservation (
    holder                  TEXT PRIMARY KEY,
    lease_id                INTEGER NOT NULL REFERENCES lease (lease_id),
    worst                   INTEGER NOT NULL CHECK (worst >= 0),
    uncovered_since_boot_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX reservation_by_lease ON reservation (lease_id);

-- metering: where the node's own time stands; it goes on from here after a restart.
-- floor_ms and tick_*: time, boottime and the clock without suspend at the last tick.
CREATE TABLE timekeeper (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    boot_id         TEXT NOT NULL,
    anchor_wall_ms  INTEGER NOT NULL,
    anchor_boot_ms  INTEGER NOT NULL,
    correction_ms   INTEGER NOT NULL,
    trusted         INTEGER NOT NULL CHECK (trusted IN (0, 1)),
    floor_ms        INTEGER NOT NULL,
    tick_boot_ms    INTEGER NOT NULL,
    tick_running_ms INTEGER NOT NULL
) STRICT;

-- sync: who this node is, whom it trusts, and the signed documents it goes by.
CREATE TABLE identity (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    node_id         TEXT NOT NULL,
    node_name       TEXT NOT NULL,
    site_name       TEXT NOT NULL,
    registry_domain TEXT NOT NULL,
    public_key      TEXT NOT NULL,
    enrolled_at_ms  INTEGER NOT NULL
) STRICT;

CREATE TABLE trust_key (
    key_id     TEXT PRIMARY KEY,
    public_key TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE signed_document (
    purpose  TEXT PRIMARY KEY,
    version  INTEGER NOT NULL CHECK (version >= 0),
    envelope TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE contact (
    id                     INTEGER PRIMARY KEY CHECK (id = 1),
    boot_id                TEXT NOT NULL,
    sequence               INTEGER NOT NULL CHECK (sequence >= 0),
    last_answer_boot_ms    INTEGER,
    last_answer_at_ms      INTEGER,
    skew_ms                INTEGER,
    held_back_generation   INTEGER
) STRICT;
