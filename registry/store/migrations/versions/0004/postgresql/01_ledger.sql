CREATE INDEX ix_journal_at_ms ON journal (at_ms);

CREATE INDEX ix_journal_kind_ref ON journal (kind, ref);

CREATE TABLE adjustment (
    src TEXT NOT NULL,
    kind TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    micros BIGINT NOT NULL,
    tax_jurisdiction TEXT NOT NULL,
    tax_micros BIGINT NOT NULL,
    share BIGINT NOT NULL,
    grant_name TEXT NOT NULL,
    expires_at_ms BIGINT,
    amounts TEXT NOT NULL,
    ref TEXT NOT NULL,
    memo TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    CONSTRAINT pk_adjustment PRIMARY KEY (src),
    CONSTRAINT adjustment_micros CHECK (micros >= 0),
    CONSTRAINT adjustment_tax CHECK (tax_micros >= 0),
    CONSTRAINT adjustment_share CHECK (share BETWEEN 0 AND micros),
    CONSTRAINT adjustment_kind CHECK (kind IN ('bank_payment', 'demo_payment', 'bank_refund', 'promo', 'correction', 'right_entry', 'write_off', 'clawback'))
);

CREATE TABLE tax_rate (
    tenant_id TEXT NOT NULL,
    jurisdiction TEXT NOT NULL,
    basis_points INTEGER NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    CONSTRAINT pk_tax_rate PRIMARY KEY (tenant_id),
    CONSTRAINT tax_rate_basis_points CHECK (basis_points BETWEEN 1 AND 10000)
);

CREATE TABLE maturity (
    through_ms BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    CONSTRAINT pk_maturity PRIMARY KEY (through_ms)
);
