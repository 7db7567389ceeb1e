CREATE TABLE payer (
    tenant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    method_id TEXT,
    brand TEXT,
    last4 TEXT,
    exp_month INTEGER,
    exp_year INTEGER,
    auto_on INTEGER NOT NULL CHECK (auto_on IN (0, 1)),
    threshold_micros BIGINT NOT NULL,
    amount_micros BIGINT NOT NULL,
    since_ms BIGINT NOT NULL,
    stopped_at_ms BIGINT,
    stopped_why TEXT NOT NULL,
    receipt_email TEXT NOT NULL,
    CONSTRAINT pk_payer PRIMARY KEY (tenant_id),
    CONSTRAINT fk_payer_tenant_id FOREIGN KEY(tenant_id) REFERENCES tenant (tenant_id),
    CONSTRAINT uq_payer_customer_id UNIQUE (customer_id)
)

CREATE TABLE top_up (
    top_up_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    nonce TEXT NOT NULL,
    micros BIGINT NOT NULL CHECK (micros > 0),
    state TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    receipt_email TEXT NOT NULL,
    return_to TEXT NOT NULL,
    keep_card INTEGER NOT NULL CHECK (keep_card IN (0, 1)),
    method_id TEXT NOT NULL,
    session_id TEXT,
    session_url TEXT NOT NULL,
    payment_id TEXT,
    charge_id TEXT,
    decline TEXT NOT NULL,
    why TEXT NOT NULL,
    refunded_micros BIGINT NOT NULL,
    tax_jurisdiction TEXT NOT NULL,
    tax_micros BIGINT NOT NULL,
    journal_id BIGINT,
    created_at_ms BIGINT NOT NULL,
    checked_at_ms BIGINT NOT NULL,
    confirmed_at_ms BIGINT,
    CONSTRAINT pk_top_up PRIMARY KEY (top_up_id),
    CONSTRAINT uq_top_up_tenant_id_nonce UNIQUE (tenant_id, nonce),
    CONSTRAINT top_up_kind CHECK (kind IN ('checkout', 'auto')),
    CONSTRAINT top_up_state CHECK (state IN ('created', 'pending', 'succeeded', 'failed', 'canceled', 'expired', 'refunded', 'disputed', 'charged_back')),
    CONSTRAINT fk_top_up_tenant_id FOREIGN KEY(tenant_id) REFERENCES tenant (tenant_id),
    CONSTRAINT uq_top_up_session_id UNIQUE (session_id),
    CONSTRAINT uq_top_up_payment_id UNIQUE (payment_id),
    CONSTRAINT uq_top_up_charge_id UNIQUE (charge_id)
)

CREATE INDEX top_up_by_state ON top_up (state, checked_at_ms)

CREATE INDEX top_up_by_tenant ON top_up (tenant_id, created_at_ms)

CREATE UNIQUE INDEX top_up_one_auto_in_flight ON top_up (tenant_id) WHERE kind = 'auto' AND state IN ('created', 'pending')

CREATE TABLE refund (
    refund_key TEXT NOT NULL,
    top_up_id TEXT NOT NULL,
    refund_id TEXT,
    micros BIGINT NOT NULL CHECK (micros > 0),
    tax_micros BIGINT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    why TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT,
    CONSTRAINT pk_refund PRIMARY KEY (refund_key),
    CONSTRAINT refund_state CHECK (state IN ('asked', 'sent', 'failed', 'refused')),
    CONSTRAINT fk_refund_top_up_id FOREIGN KEY(top_up_id) REFERENCES top_up (top_up_id),
    CONSTRAINT uq_refund_refund_id UNIQUE (refund_id)
)

CREATE INDEX refund_by_top_up ON refund (top_up_id)

CREATE TABLE dispute (
    dispute_id TEXT NOT NULL,
    top_up_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    micros BIGINT NOT NULL,
    tax_micros BIGINT NOT NULL,
    fee_micros BIGINT NOT NULL,
    fee_returned_micros BIGINT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    due_at_ms BIGINT,
    opened_at_ms BIGINT NOT NULL,
    closed_at_ms BIGINT,
    CONSTRAINT pk_dispute PRIMARY KEY (dispute_id),
    CONSTRAINT dispute_state CHECK (state IN ('open', 'won', 'lost')),
    CONSTRAINT fk_dispute_top_up_id FOREIGN KEY(top_up_id) REFERENCES top_up (top_up_id),
    CONSTRAINT fk_dispute_tenant_id FOREIGN KEY(tenant_id) REFERENCES tenant (tenant_id)
)

CREATE INDEX dispute_by_tenant ON dispute (tenant_id, state)

CREATE TABLE payment_event (
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    received_at_ms BIGINT NOT NULL,
    done_at_ms BIGINT,
    tries BIGINT NOT NULL,
    next_at_ms BIGINT NOT NULL,
    why TEXT NOT NULL,
    CONSTRAINT pk_payment_event PRIMARY KEY (event_id)
)

CREATE INDEX payment_event_waiting ON payment_event (done_at_ms, next_at_ms)

CREATE TABLE provider_entry (
    transaction_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    micros BIGINT NOT NULL,
    fee_micros BIGINT NOT NULL,
    net_micros BIGINT NOT NULL,
    source_id TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    noted_at_ms BIGINT NOT NULL,
    posted INTEGER NOT NULL CHECK (posted IN (0, 1)),
    CONSTRAINT pk_provider_entry PRIMARY KEY (transaction_id)
)

CREATE INDEX provider_entry_unposted ON provider_entry (posted, created_at_ms)

CREATE TABLE reconciliation (
    name TEXT NOT NULL,
    last_transaction_id TEXT NOT NULL,
    checked_at_ms BIGINT NOT NULL,
    provider_micros BIGINT NOT NULL,
    book_micros BIGINT NOT NULL,
    differs_since_ms BIGINT,
    CONSTRAINT pk_reconciliation PRIMARY KEY (name)
)

CREATE TABLE payment_finding (
    code TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    remedy TEXT NOT NULL,
    since_ms BIGINT NOT NULL,
    closed_at_ms BIGINT,
    CONSTRAINT pk_payment_finding PRIMARY KEY (code, subject)
)
