CREATE TABLE accelerator_use (
    node_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    uuid TEXT NOT NULL,
    held_by TEXT,
    since_ms INTEGER NOT NULL,
    CONSTRAINT pk_accelerator_use PRIMARY KEY (node_id, epoch, uuid)
) STRICT;

CREATE TABLE log_bundle (
    node_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    entries BLOB NOT NULL,
    CONSTRAINT pk_log_bundle PRIMARY KEY (node_id, epoch, number)
) STRICT;

CREATE TRIGGER log_bundle_no_update BEFORE UPDATE ON log_bundle
BEGIN SELECT RAISE(ABORT, 'log_bundle is append-only');
END;

CREATE TRIGGER log_bundle_no_delete BEFORE DELETE ON log_bundle
BEGIN SELECT RAISE(ABORT, 'log_bundle is append-only');
END;

CREATE TABLE log_subtree (
    node_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    level INTEGER NOT NULL,
    number INTEGER NOT NULL,
    root BLOB NOT NULL,
    CONSTRAINT pk_log_subtree PRIMARY KEY (node_id, epoch, level, number)
) STRICT;

CREATE TRIGGER log_subtree_no_update BEFORE UPDATE ON log_subtree
BEGIN SELECT RAISE(ABORT, 'log_subtree is append-only');
END;

CREATE TRIGGER log_subtree_no_delete BEFORE DELETE ON log_subtree
BEGIN SELECT RAISE(ABORT, 'log_subtree is append-only');
END;

CREATE TABLE log_tail (
    node_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    "begin" INTEGER NOT NULL,
    count INTEGER NOT NULL,
    entries BLOB NOT NULL,
    CONSTRAINT pk_log_tail PRIMARY KEY (node_id, epoch, "begin")
) STRICT;

CREATE TABLE node_log (
    node_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    origin TEXT NOT NULL,
    public_key TEXT NOT NULL,
    state TEXT NOT NULL,
    size INTEGER NOT NULL,
    frontier BLOB NOT NULL,
    checkpoint TEXT NOT NULL,
    cosignature TEXT NOT NULL,
    accepted_at_ms INTEGER,
    problem_code TEXT NOT NULL,
    problem_message TEXT NOT NULL,
    problem_at_ms INTEGER,
    evidence TEXT NOT NULL,
    CONSTRAINT pk_node_log PRIMARY KEY (node_id, epoch),
    CONSTRAINT node_log_state CHECK (state IN ('open', 'parked', 'frozen')),
    CONSTRAINT uq_node_log_origin UNIQUE (origin)
) STRICT;

CREATE TABLE opening (
    node_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    allocation_id TEXT NOT NULL,
    opened_at_ms INTEGER NOT NULL,
    closed_at_ms INTEGER,
    accelerators TEXT NOT NULL,
    CONSTRAINT pk_opening PRIMARY KEY (node_id, epoch, allocation_id)
) STRICT;

CREATE TABLE stream (
    node_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    owner_id TEXT NOT NULL,
    meter TEXT NOT NULL,
    sku TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    first_index INTEGER NOT NULL,
    last_index INTEGER NOT NULL,
    begin_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    cumulative INTEGER NOT NULL,
    rated INTEGER NOT NULL,
    charged INTEGER NOT NULL,
    shared INTEGER NOT NULL,
    CONSTRAINT pk_stream PRIMARY KEY (node_id, epoch, owner_id, meter, sku)
) STRICT;

CREATE INDEX ix_stream_owner_id ON stream (owner_id);

CREATE INDEX ix_stream_tenant_id ON stream (tenant_id);

CREATE TABLE usage_hour (
    tenant_id TEXT NOT NULL,
    hour_ms INTEGER NOT NULL,
    owner_id TEXT NOT NULL,
    meter TEXT NOT NULL,
    sku TEXT NOT NULL,
    node_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    rated INTEGER NOT NULL,
    charged INTEGER NOT NULL,
    CONSTRAINT pk_usage_hour PRIMARY KEY (tenant_id, hour_ms, owner_id, meter, sku, node_id)
) STRICT;

CREATE INDEX ix_usage_hour_owner_id ON usage_hour (owner_id);
