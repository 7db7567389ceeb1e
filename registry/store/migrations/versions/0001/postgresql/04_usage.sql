CREATE TABLE accelerator_use (
    node_id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    uuid TEXT NOT NULL,
    held_by TEXT,
    since_ms BIGINT NOT NULL,
    CONSTRAINT pk_accelerator_use PRIMARY KEY (node_id, epoch, uuid)
);

CREATE TABLE log_bundle (
    node_id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    number BIGINT NOT NULL,
    entries BYTEA NOT NULL,
    CONSTRAINT pk_log_bundle PRIMARY KEY (node_id, epoch, number)
);

CREATE TRIGGER log_bundle_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log_bundle
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE log_subtree (
    node_id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    level INTEGER NOT NULL,
    number BIGINT NOT NULL,
    root BYTEA NOT NULL,
    CONSTRAINT pk_log_subtree PRIMARY KEY (node_id, epoch, level, number)
);

CREATE TRIGGER log_subtree_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log_subtree
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE log_tail (
    node_id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    begin BIGINT NOT NULL,
    count INTEGER NOT NULL,
    entries BYTEA NOT NULL,
    CONSTRAINT pk_log_tail PRIMARY KEY (node_id, epoch, begin)
);

CREATE TABLE node_log (
    node_id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    origin TEXT NOT NULL,
    public_key TEXT NOT NULL,
    state TEXT NOT NULL,
    size BIGINT NOT NULL,
    frontier BYTEA NOT NULL,
    checkpoint TEXT NOT NULL,
    cosignature TEXT NOT NULL,
    accepted_at_ms BIGINT,
    problem_code TEXT NOT NULL,
    problem_message TEXT NOT NULL,
    problem_at_ms BIGINT,
    evidence TEXT NOT NULL,
    CONSTRAINT pk_node_log PRIMARY KEY (node_id, epoch),
    CONSTRAINT node_log_state CHECK (state IN ('open', 'parked', 'frozen')),
    CONSTRAINT uq_node_log_origin UNIQUE (origin)
);

CREATE TABLE opening (
    node_id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    allocation_id TEXT NOT NULL,
    opened_at_ms BIGINT NOT NULL,
    closed_at_ms BIGINT,
    accelerators TEXT NOT NULL,
    CONSTRAINT pk_opening PRIMARY KEY (node_id, epoch, allocation_id)
);

CREATE TABLE stream (
    node_id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    owner_id TEXT NOT NULL,
    meter TEXT NOT NULL,
    sku TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    first_index BIGINT NOT NULL,
    last_index BIGINT NOT NULL,
    begin_ms BIGINT NOT NULL,
    end_ms BIGINT NOT NULL,
    cumulative BIGINT NOT NULL,
    rated BIGINT NOT NULL,
    charged BIGINT NOT NULL,
    shared BIGINT NOT NULL,
    CONSTRAINT pk_stream PRIMARY KEY (node_id, epoch, owner_id, meter, sku)
);

CREATE INDEX ix_stream_owner_id ON stream (owner_id);

CREATE INDEX ix_stream_tenant_id ON stream (tenant_id);

CREATE TABLE usage_hour (
    tenant_id TEXT NOT NULL,
    hour_ms BIGINT NOT NULL,
    owner_id TEXT NOT NULL,
    meter TEXT NOT NULL,
    sku TEXT NOT NULL,
    node_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    quantity BIGINT NOT NULL,
    rated BIGINT NOT NULL,
    charged BIGINT NOT NULL,
    CONSTRAINT pk_usage_hour PRIMARY KEY (tenant_id, hour_ms, owner_id, meter, sku, node_id)
);

CREATE INDEX ix_usage_hour_owner_id ON usage_hour (owner_id);
