CREATE TABLE allocation (
    allocation_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    sku_id TEXT NOT NULL,
    accelerator_count INTEGER NOT NULL,
    node_id TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    manifest TEXT NOT NULL,
    place TEXT DEFAULT '' NOT NULL,
    hourly_micros BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    ready_at_ms BIGINT,
    release_at_ms BIGINT,
    ended_at_ms BIGINT,
    cleaned_at_ms BIGINT,
    phase TEXT DEFAULT '' NOT NULL,
    phase_detail TEXT DEFAULT '' NOT NULL,
    observed_at_ms BIGINT,
    container_id TEXT DEFAULT '' NOT NULL,
    accelerators TEXT DEFAULT '[]' NOT NULL,
    exit_code INTEGER,
    CONSTRAINT pk_allocation PRIMARY KEY (allocation_id),
    CONSTRAINT allocation_state CHECK (state IN ('requested', 'provisioning', 'active', 'stopping', 'stopped', 'releasing', 'released', 'failed', 'release_failed', 'insufficient_balance', 'sku_unavailable')),
    CONSTRAINT allocation_accelerators CHECK (accelerator_count >= 1),
    CONSTRAINT fk_allocation_tenant_id FOREIGN KEY(tenant_id) REFERENCES tenant (tenant_id),
    CONSTRAINT fk_allocation_project_id FOREIGN KEY(project_id) REFERENCES project (project_id),
    CONSTRAINT fk_allocation_sku_id FOREIGN KEY(sku_id) REFERENCES sku (sku_id),
    CONSTRAINT fk_allocation_node_id FOREIGN KEY(node_id) REFERENCES node (node_id)
);

CREATE INDEX allocation_by_node ON allocation (node_id, cleaned_at_ms);

CREATE INDEX allocation_by_tenant ON allocation (tenant_id, created_at_ms);

CREATE TABLE allocation_event (
    event_id BIGSERIAL NOT NULL,
    allocation_id TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    state TEXT NOT NULL,
    fact TEXT NOT NULL,
    actor TEXT NOT NULL,
    CONSTRAINT pk_allocation_event PRIMARY KEY (event_id),
    CONSTRAINT fk_allocation_event_allocation_id FOREIGN KEY(allocation_id) REFERENCES allocation (allocation_id)
);

CREATE INDEX allocation_event_by_allocation ON allocation_event (allocation_id, event_id);
