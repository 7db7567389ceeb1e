CREATE TABLE app (
    slug TEXT NOT NULL,
    version TEXT NOT NULL,
    name TEXT NOT NULL,
    publisher TEXT NOT NULL,
    manifest TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    CONSTRAINT pk_app PRIMARY KEY (slug, version)
) STRICT;

CREATE TABLE sku (
    sku_id TEXT NOT NULL,
    sku_class TEXT NOT NULL,
    name TEXT NOT NULL,
    accelerator_model TEXT NOT NULL,
    accelerator_count INTEGER NOT NULL,
    accelerator_memory_mib INTEGER NOT NULL,
    cpu_milli INTEGER NOT NULL,
    memory_mib INTEGER NOT NULL,
    disk_mib INTEGER NOT NULL,
    power_w INTEGER NOT NULL,
    simulated INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    retired_at_ms INTEGER,
    CONSTRAINT pk_sku PRIMARY KEY (sku_id),
    CONSTRAINT sku_class CHECK (sku_class IN ('gpu', 'model')),
    CONSTRAINT sku_simulated CHECK (simulated IN (0, 1))
) STRICT;

CREATE TABLE spent_nonce (
    signer TEXT NOT NULL,
    nonce TEXT NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    CONSTRAINT pk_spent_nonce PRIMARY KEY (signer, nonce)
) STRICT;

CREATE INDEX spent_nonce_by_expiry ON spent_nonce (expires_at_ms);

CREATE TABLE price_version (
    sku_id TEXT NOT NULL,
    meter TEXT NOT NULL,
    version INTEGER NOT NULL,
    num INTEGER NOT NULL,
    den INTEGER NOT NULL,
    effective_at_ms INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    CONSTRAINT pk_price_version PRIMARY KEY (sku_id, meter, version),
    CONSTRAINT price_version_num CHECK (num >= 0),
    CONSTRAINT price_version_den CHECK (den >= 1),
    CONSTRAINT price_version_hour_edge CHECK (effective_at_ms % 3600000 = 0),
    CONSTRAINT fk_price_version_sku_id FOREIGN KEY(sku_id) REFERENCES sku (sku_id)
) STRICT;

CREATE TRIGGER price_version_no_update BEFORE UPDATE ON price_version
BEGIN SELECT RAISE(ABORT, 'price_version is append-only');
END;

CREATE TRIGGER price_version_no_delete BEFORE DELETE ON price_version
BEGIN SELECT RAISE(ABORT, 'price_version is append-only');
END;

CREATE TABLE site (
    site_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    city TEXT NOT NULL,
    city_key TEXT NOT NULL,
    country TEXT NOT NULL,
    kind TEXT NOT NULL,
    connectivity TEXT NOT NULL,
    power_kw INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    CONSTRAINT pk_site PRIMARY KEY (site_id),
    CONSTRAINT uq_site_tenant_id_city_key_name_key UNIQUE (tenant_id, city_key, name_key),
    CONSTRAINT fk_site_tenant_id FOREIGN KEY(tenant_id) REFERENCES tenant (tenant_id)
) STRICT;

CREATE TABLE node (
    node_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    name TEXT NOT NULL,
    external_id TEXT NOT NULL,
    declared_accelerator TEXT NOT NULL,
    declared_gpu_count INTEGER NOT NULL,
    declared_power_w INTEGER NOT NULL,
    declared_latency_ms INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    retired_at_ms INTEGER,
    public_key TEXT,
    key_id TEXT,
    enrolled_at_ms INTEGER,
    gateway_url TEXT NOT NULL,
    agent_version TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    log_epoch INTEGER NOT NULL,
    desired_generation INTEGER NOT NULL,
    desired_at_ms INTEGER,
    held_generation INTEGER,
    held_at_ms INTEGER,
    held_key_set INTEGER NOT NULL,
    last_contact_at_ms INTEGER,
    skew_ms INTEGER,
    simulated INTEGER NOT NULL,
    host TEXT NOT NULL,
    CONSTRAINT pk_node PRIMARY KEY (node_id),
    CONSTRAINT uq_node_site_id_name UNIQUE (site_id, name),
    CONSTRAINT node_simulated CHECK (simulated IN (0, 1)),
    CONSTRAINT fk_node_site_id FOREIGN KEY(site_id) REFERENCES site (site_id),
    CONSTRAINT uq_node_public_key UNIQUE (public_key),
    CONSTRAINT uq_node_key_id UNIQUE (key_id)
) STRICT;

CREATE TABLE accelerator (
    uuid TEXT NOT NULL,
    node_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    model TEXT NOT NULL,
    memory_mib INTEGER NOT NULL,
    simulated INTEGER NOT NULL,
    healthy INTEGER NOT NULL,
    present INTEGER NOT NULL,
    held_by TEXT,
    utilization_percent INTEGER,
    memory_used_mib INTEGER,
    temperature_c INTEGER,
    power_mw INTEGER,
    seen_at_ms INTEGER NOT NULL,
    CONSTRAINT pk_accelerator PRIMARY KEY (uuid),
    CONSTRAINT accelerator_simulated CHECK (simulated IN (0, 1)),
    CONSTRAINT accelerator_healthy CHECK (healthy IN (0, 1)),
    CONSTRAINT accelerator_present CHECK (present IN (0, 1)),
    CONSTRAINT fk_accelerator_node_id FOREIGN KEY(node_id) REFERENCES node (node_id)
) STRICT;

CREATE INDEX accelerator_by_node ON accelerator (node_id);

CREATE TABLE enrolment_secret (
    secret_id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER,
    spent_at_ms INTEGER,
    spent_by_key TEXT,
    spent_from TEXT,
    CONSTRAINT pk_enrolment_secret PRIMARY KEY (secret_id),
    CONSTRAINT fk_enrolment_secret_node_id FOREIGN KEY(node_id) REFERENCES node (node_id),
    CONSTRAINT uq_enrolment_secret_hash UNIQUE (hash)
) STRICT;

CREATE INDEX enrolment_secret_by_node ON enrolment_secret (node_id, created_at_ms);

CREATE TABLE finding (
    finding_id INTEGER NOT NULL,
    node_id TEXT NOT NULL,
    source TEXT NOT NULL,
    code TEXT NOT NULL,
    subject TEXT NOT NULL,
    severity TEXT NOT NULL,
    detail TEXT NOT NULL,
    remedy TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    opened_at_ms INTEGER NOT NULL,
    closed_at_ms INTEGER,
    CONSTRAINT pk_finding PRIMARY KEY (finding_id),
    CONSTRAINT finding_source CHECK (source IN ('node', 'registry')),
    CONSTRAINT finding_severity CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT fk_finding_node_id FOREIGN KEY(node_id) REFERENCES node (node_id)
) STRICT;

CREATE INDEX finding_by_node ON finding (node_id, closed_at_ms);

CREATE TABLE served_model (
    node_id TEXT NOT NULL,
    name TEXT NOT NULL,
    ready INTEGER NOT NULL,
    context_tokens INTEGER,
    owned_by TEXT NOT NULL,
    seen_at_ms INTEGER NOT NULL,
    CONSTRAINT pk_served_model PRIMARY KEY (node_id, name),
    CONSTRAINT fk_served_model_node_id FOREIGN KEY(node_id) REFERENCES node (node_id)
) STRICT;
