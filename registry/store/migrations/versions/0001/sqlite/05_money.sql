CREATE TABLE account (
    name TEXT NOT NULL,
    tenant_id TEXT,
    spendable INTEGER NOT NULL CHECK (spendable IN (0, 1)),
    expires_at_ms INTEGER,
    balance INTEGER NOT NULL,
    held INTEGER NOT NULL CHECK (held >= 0),
    credit_limit INTEGER NOT NULL CHECK (credit_limit >= 0),
    CONSTRAINT pk_account PRIMARY KEY (name)
) STRICT;

CREATE INDEX ix_account_tenant_id ON account (tenant_id);

CREATE TABLE journal (
    id INTEGER NOT NULL,
    src TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    ref TEXT NOT NULL,
    memo TEXT NOT NULL,
    meter TEXT NOT NULL,
    quantity INTEGER,
    CONSTRAINT pk_journal PRIMARY KEY (id),
    CONSTRAINT uq_journal_src UNIQUE (src)
) STRICT;

CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'journal is append-only');
END;

CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'journal is append-only');
END;

CREATE TABLE lease (
    id INTEGER NOT NULL,
    tenant_id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    amount INTEGER NOT NULL,
    settled INTEGER NOT NULL,
    granted_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    hold_until_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    ended_at_ms INTEGER,
    CONSTRAINT pk_lease PRIMARY KEY (id),
    CONSTRAINT lease_amount CHECK (amount > 0),
    CONSTRAINT lease_settled CHECK (settled BETWEEN 0 AND amount),
    CONSTRAINT lease_state CHECK (state IN ('open', 'closed', 'released'))
) STRICT;

CREATE INDEX ix_lease_node_id_state ON lease (node_id, state);

CREATE INDEX ix_lease_tenant_id_state ON lease (tenant_id, state);

CREATE TABLE posting (
    journal_id INTEGER NOT NULL,
    account TEXT NOT NULL,
    micros INTEGER NOT NULL CHECK (micros <> 0),
    CONSTRAINT pk_posting PRIMARY KEY (journal_id, account),
    CONSTRAINT fk_posting_journal_id FOREIGN KEY(journal_id) REFERENCES journal (id),
    CONSTRAINT fk_posting_account FOREIGN KEY(account) REFERENCES account (name)
) STRICT;

CREATE INDEX ix_posting_account_journal_id ON posting (account, journal_id);

CREATE TRIGGER posting_no_update BEFORE UPDATE ON posting
BEGIN SELECT RAISE(ABORT, 'posting is append-only');
END;

CREATE TRIGGER posting_no_delete BEFORE DELETE ON posting
BEGIN SELECT RAISE(ABORT, 'posting is append-only');
END;
