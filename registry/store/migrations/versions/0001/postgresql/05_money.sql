CREATE TABLE account (
    name TEXT NOT NULL,
    tenant_id TEXT,
    spendable INTEGER NOT NULL CHECK (spendable IN (0, 1)),
    expires_at_ms BIGINT,
    balance BIGINT NOT NULL,
    held BIGINT NOT NULL CHECK (held >= 0),
    credit_limit BIGINT NOT NULL CHECK (credit_limit >= 0),
    CONSTRAINT pk_account PRIMARY KEY (name)
);

CREATE INDEX ix_account_tenant_id ON account (tenant_id);

CREATE TABLE journal (
    id BIGSERIAL NOT NULL,
    src TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    ref TEXT NOT NULL,
    memo TEXT NOT NULL,
    meter TEXT NOT NULL,
    quantity BIGINT,
    CONSTRAINT pk_journal PRIMARY KEY (id),
    CONSTRAINT uq_journal_src UNIQUE (src)
);

CREATE TRIGGER journal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE lease (
    id BIGSERIAL NOT NULL,
    tenant_id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    amount BIGINT NOT NULL,
    settled BIGINT NOT NULL,
    granted_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    hold_until_ms BIGINT NOT NULL,
    state TEXT NOT NULL,
    ended_at_ms BIGINT,
    CONSTRAINT pk_lease PRIMARY KEY (id),
    CONSTRAINT lease_amount CHECK (amount > 0),
    CONSTRAINT lease_settled CHECK (settled BETWEEN 0 AND amount),
    CONSTRAINT lease_state CHECK (state IN ('open', 'closed', 'released'))
);

CREATE INDEX ix_lease_node_id_state ON lease (node_id, state);

CREATE INDEX ix_lease_tenant_id_state ON lease (tenant_id, state);

CREATE TABLE posting (
    journal_id BIGINT NOT NULL,
    account TEXT NOT NULL,
    micros BIGINT NOT NULL CHECK (micros <> 0),
    CONSTRAINT pk_posting PRIMARY KEY (journal_id, account),
    CONSTRAINT fk_posting_journal_id FOREIGN KEY(journal_id) REFERENCES journal (id),
    CONSTRAINT fk_posting_account FOREIGN KEY(account) REFERENCES account (name)
);

CREATE INDEX ix_posting_account_journal_id ON posting (account, journal_id);

CREATE TRIGGER posting_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON posting
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
