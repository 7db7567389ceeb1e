-- gateway: one row per call, opened before the backend hears of it; never what was said in it.
-- tokens_*, requests and micros of an open row are its last checkpoint.
CREATE TABLE call (
    call_id        TEXT PRIMARY KEY,
    key_id         TEXT NOT NULL,
    tenant_id      TEXT NOT NULL,
    project_id     TEXT NOT NULL,
    model          TEXT NOT NULL,
    endpoint       TEXT NOT NULL,
    lease_id       INTEGER NOT NULL,
    worst          INTEGER NOT NULL CHECK (worst >= 0),
    tokens_in      INTEGER NOT NULL DEFAULT 0 CHECK (tokens_in >= 0),
    tokens_out     INTEGER NOT NULL DEFAULT 0 CHECK (tokens_out >= 0),
    requests       INTEGER NOT NULL DEFAULT 0 CHECK (requests IN (0, 1)),
    micros         INTEGER NOT NULL DEFAULT 0 CHECK (micros >= 0),
    started_at_ms  INTEGER NOT NULL,
    finished_at_ms INTEGER,
    exactness      TEXT NOT NULL DEFAULT 'estimated' CHECK (exactness IN ('exact', 'estimated')),
    outcome        TEXT NOT NULL DEFAULT 'open' CHECK (
        outcome IN ('open', 'answered', 'refused', 'client_gone', 'backend_failed', 'cut_off')
    ),
    backend        TEXT NOT NULL DEFAULT '',
    state          TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    recorded       INTEGER NOT NULL DEFAULT 0 CHECK (recorded IN (0, 1)),
    CHECK ((state = 'closed') = (finished_at_ms IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX call_unrecorded ON call (finished_at_ms) WHERE recorded = 0 AND state = 'closed';
CREATE INDEX call_open ON call (started_at_ms) WHERE state = 'open';
CREATE INDEX call_recorded ON call (finished_at_ms) WHERE recorded = 1;

-- What each stream of inference (API key and model) has come to over all its closed calls.
CREATE TABLE call_total (
    key_id     TEXT NOT NULL,
    model      TEXT NOT NULL,
    tokens_in  INTEGER NOT NULL CHECK (tokens_in >= 0),
    tokens_out INTEGER NOT NULL CHECK (tokens_out >= 0),
    requests   INTEGER NOT NULL CHECK (requests >= 0),
    PRIMARY KEY (key_id, model)
) STRICT, WITHOUT ROWID;
