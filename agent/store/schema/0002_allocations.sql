-- allocations: what this node was asked to run and how far it is, one row per allocation.
-- Written before a container is made (the intent), and kept until the registry has heard `absent`.
CREATE TABLE run (
    allocation_id    TEXT PRIMARY KEY,
    tenant_id        TEXT NOT NULL,
    project_id       TEXT NOT NULL,
    sku              TEXT NOT NULL,
    kind             TEXT NOT NULL CHECK (kind IN ('service', 'task')),
    known            INTEGER NOT NULL CHECK (known IN (0, 1)),
    attempt          INTEGER NOT NULL CHECK (attempt >= 1),
    generation       INTEGER NOT NULL CHECK (generation >= 0),
    phase            TEXT NOT NULL CHECK (phase IN ('pulling', 'starting', 'probing', 'running',
                                                    'stopping', 'exited', 'absent')),
    since_ms         INTEGER NOT NULL,
    detail           TEXT NOT NULL,
    requested_at_ms  INTEGER NOT NULL,
    accelerators     TEXT NOT NULL,
    spec_hash        TEXT NOT NULL,
    container_id     TEXT NOT NULL,
    address          TEXT NOT NULL,
    boot_id          TEXT NOT NULL,
    started_at_ms    INTEGER,
    ready_at_ms      INTEGER,
    seen_at_ms       INTEGER,
    stop_asked_at_ms INTEGER,
    stop_reason      TEXT,
    released_at_ms   INTEGER,
    finished_at_ms   INTEGER,
    exit_code        INTEGER,
    failure          TEXT,
    metered_to_ms    INTEGER,
    closed           INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1))
) STRICT;

-- Why the engine cannot be asked or must not be used; no row while all is well.
CREATE TABLE engine_fault (
    subject  TEXT PRIMARY KEY CHECK (subject IN ('engine', 'egress')),
    since_ms INTEGER NOT NULL,
    sentence TEXT NOT NULL
) STRICT, WITHOUT ROWID;
