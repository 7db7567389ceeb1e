CREATE TABLE audit_event (
    sequence INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    on_behalf_of TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    tenant_id TEXT,
    result TEXT NOT NULL,
    request_id TEXT NOT NULL,
    source TEXT NOT NULL,
    detail TEXT NOT NULL,
    previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    CONSTRAINT pk_audit_event PRIMARY KEY (sequence)
) STRICT;

CREATE INDEX audit_event_by_tenant ON audit_event (tenant_id, sequence);

CREATE TRIGGER audit_event_no_update BEFORE UPDATE ON audit_event
BEGIN SELECT RAISE(ABORT, 'audit_event is append-only');
END;

CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON audit_event
BEGIN SELECT RAISE(ABORT, 'audit_event is append-only');
END;

CREATE TABLE duty (
    duty_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    CONSTRAINT pk_duty PRIMARY KEY (duty_id)
) STRICT;

CREATE TABLE idempotent_answer (
    scope TEXT NOT NULL,
    "key" TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    CONSTRAINT pk_idempotent_answer PRIMARY KEY (scope, "key")
) STRICT;

CREATE INDEX idempotent_answer_by_expiry ON idempotent_answer (expires_at_ms);

CREATE TABLE key_set_version (
    key_set_version_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_key_set_version PRIMARY KEY (key_set_version_id),
    CONSTRAINT key_set_version_single CHECK (key_set_version_id = 1)
) STRICT;

CREATE TABLE person (
    person_id TEXT NOT NULL,
    email TEXT NOT NULL,
    is_platform_admin INTEGER NOT NULL,
    is_disabled INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    CONSTRAINT pk_person PRIMARY KEY (person_id),
    CONSTRAINT person_is_platform_admin CHECK (is_platform_admin IN (0, 1)),
    CONSTRAINT person_is_disabled CHECK (is_disabled IN (0, 1)),
    CONSTRAINT uq_person_email UNIQUE (email)
) STRICT;

CREATE TABLE sign_in_link (
    link_id TEXT NOT NULL,
    email TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    code_hash TEXT NOT NULL,
    attempt_hash TEXT NOT NULL,
    code_tries INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    used_at_ms INTEGER,
    source TEXT NOT NULL,
    CONSTRAINT pk_sign_in_link PRIMARY KEY (link_id),
    CONSTRAINT uq_sign_in_link_token_hash UNIQUE (token_hash),
    CONSTRAINT uq_sign_in_link_attempt_hash UNIQUE (attempt_hash)
) STRICT;

CREATE INDEX sign_in_link_by_email ON sign_in_link (email, created_at_ms);

CREATE TABLE sign_in_throttle (
    subject TEXT NOT NULL,
    tries INTEGER NOT NULL,
    begun_at_ms INTEGER NOT NULL,
    CONSTRAINT pk_sign_in_throttle PRIMARY KEY (subject)
) STRICT;

CREATE TABLE tenant (
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    use_case TEXT NOT NULL,
    intent TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    CONSTRAINT pk_tenant PRIMARY KEY (tenant_id),
    CONSTRAINT tenant_intent CHECK (intent IN ('use', 'host', 'both')),
    CONSTRAINT uq_tenant_name_key UNIQUE (name_key)
) STRICT;

CREATE TABLE department (
    department_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    CONSTRAINT pk_department PRIMARY KEY (department_id),
    CONSTRAINT uq_department_tenant_id_name UNIQUE (tenant_id, name),
    CONSTRAINT fk_department_tenant_id FOREIGN KEY(tenant_id) REFERENCES tenant (tenant_id)
) STRICT;

CREATE TABLE member_role (
    tenant_id TEXT NOT NULL,
    person_id TEXT NOT NULL,
    role TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    CONSTRAINT pk_member_role PRIMARY KEY (tenant_id, person_id, role),
    CONSTRAINT member_role_role CHECK (role IN ('owner', 'admin', 'billing', 'member', 'viewer', 'site_operator', 'site_owner')),
    CONSTRAINT fk_member_role_tenant_id FOREIGN KEY(tenant_id) REFERENCES tenant (tenant_id),
    CONSTRAINT fk_member_role_person_id FOREIGN KEY(person_id) REFERENCES person (person_id)
) STRICT;

CREATE INDEX member_role_by_person ON member_role (person_id);

CREATE TABLE session (
    token_hash TEXT NOT NULL,
    session_id TEXT NOT NULL,
    person_id TEXT NOT NULL,
    tenant_id TEXT,
    project_id TEXT,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    ended_at_ms INTEGER,
    source TEXT NOT NULL,
    CONSTRAINT pk_session PRIMARY KEY (token_hash),
    CONSTRAINT uq_session_session_id UNIQUE (session_id),
    CONSTRAINT fk_session_person_id FOREIGN KEY(person_id) REFERENCES person (person_id)
) STRICT;

CREATE INDEX session_by_person ON session (person_id);

CREATE TABLE project (
    project_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    department_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    CONSTRAINT pk_project PRIMARY KEY (project_id),
    CONSTRAINT uq_project_tenant_id_name UNIQUE (tenant_id, name),
    CONSTRAINT fk_project_tenant_id FOREIGN KEY(tenant_id) REFERENCES tenant (tenant_id),
    CONSTRAINT fk_project_department_id FOREIGN KEY(department_id) REFERENCES department (department_id)
) STRICT;

CREATE TABLE api_key (
    api_key_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash TEXT NOT NULL,
    scopes TEXT NOT NULL,
    models TEXT NOT NULL,
    requests_per_minute INTEGER NOT NULL,
    concurrency INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    revoked_at_ms INTEGER,
    changed_in_version INTEGER NOT NULL,
    CONSTRAINT pk_api_key PRIMARY KEY (api_key_id),
    CONSTRAINT fk_api_key_tenant_id FOREIGN KEY(tenant_id) REFERENCES tenant (tenant_id),
    CONSTRAINT fk_api_key_project_id FOREIGN KEY(project_id) REFERENCES project (project_id),
    CONSTRAINT uq_api_key_hash UNIQUE (hash)
) STRICT;

CREATE INDEX api_key_by_tenant ON api_key (tenant_id, created_at_ms);
