"""The SQL that runs with every batch of usage, in the form of `registry/store/statement`."""

LOGS = """
SELECT node_id, epoch, origin, public_key, state, size, frontier, checkpoint, cosignature,
    accepted_at_ms, problem_code, problem_message, problem_at_ms, evidence
FROM node_log
"""

LOG = f"{LOGS} WHERE node_id = :node_id AND epoch = :epoch"

LOG_OF_ORIGIN = f"{LOGS} WHERE origin = :origin"

LATEST_LOG = f"{LOGS} WHERE node_id = :node_id ORDER BY epoch DESC LIMIT 1"

LOGS_IN_ORDER = f"{LOGS} ORDER BY node_id, epoch"

MOVE_LOG = """
UPDATE node_log SET state = 'open', public_key = :public_key, size = :size, frontier = :frontier,
    checkpoint = :checkpoint, cosignature = :cosignature, accepted_at_ms = :accepted_at_ms,
    problem_code = '', problem_message = '', problem_at_ms = NULL
WHERE node_id = :node_id AND epoch = :epoch AND size = :before AND state <> 'frozen'
"""

BUNDLES = """
SELECT number, entries FROM log_bundle
WHERE node_id = :node_id AND epoch = :epoch AND number < :last AND number >= COALESCE(
    (SELECT MAX(number) FROM log_bundle
     WHERE node_id = :node_id AND epoch = :epoch AND number <= :first), 0)
ORDER BY number
"""

TAIL = """
SELECT entries FROM log_tail WHERE node_id = :node_id AND epoch = :epoch ORDER BY "begin"
"""

ROOTS = """
SELECT root FROM log_subtree
WHERE node_id = :node_id AND epoch = :epoch AND level = :level
  AND number >= :first AND number < :last
ORDER BY number
"""

INSERT_BUNDLES = """
INSERT INTO log_bundle (node_id, epoch, number, entries)
VALUES (:node_id, :epoch, :number, :entries)
"""

INSERT_ROOT = """
INSERT INTO log_subtree (node_id, epoch, level, number, root)
VALUES (:node_id, :epoch, :level, :number, :root)
"""

INSERT_TAIL = """
INSERT INTO log_tail (node_id, epoch, "begin", count, entries)
VALUES (:node_id, :epoch, :begin, :count, :entries)
"""

DELETE_TAIL = "DELETE FROM log_tail WHERE node_id = :node_id AND epoch = :epoch"

STREAMS_OF_LOG = """
SELECT owner_id, meter, sku, tenant_id, project_id, first_index, last_index, begin_ms, end_ms,
    cumulative, rated, charged, shared, stream_id
FROM stream WHERE node_id = :node_id AND epoch = :epoch
"""

STREAMS = f"{STREAMS_OF_LOG} AND owner_id IN EACH(:owners)"

INSERT_STREAM = """
INSERT INTO stream (node_id, epoch, owner_id, meter, sku, tenant_id, project_id, first_index,
    last_index, begin_ms, end_ms, cumulative, rated, charged, shared)
VALUES (:node_id, :epoch, :owner_id, :meter, :sku, :tenant_id, :project_id, :first_index,
    :last_index, :begin_ms, :end_ms, :cumulative, :rated, :charged, :shared)
RETURNING stream_id
"""

MOVE_STREAM = """
UPDATE stream SET last_index = :last_index, end_ms = :end_ms, cumulative = :cumulative,
    rated = :rated, charged = :charged, shared = :shared
WHERE stream_id = :stream_id
"""

ADD_HOUR = """
INSERT INTO stream_hour (tenant_id, hour_ms, stream_id, quantity, rated, charged)
VALUES (:tenant_id, :hour_ms, :stream_id, :quantity, :rated, :charged)
ON CONFLICT (tenant_id, hour_ms, stream_id) DO UPDATE SET
    quantity = stream_hour.quantity + excluded.quantity,
    rated = stream_hour.rated + excluded.rated,
    charged = stream_hour.charged + excluded.charged
"""

COUNTS = """
SELECT s.meter, h.hour_ms, SUM(h.quantity)
FROM stream AS s JOIN stream_hour AS h
  ON h.tenant_id = s.tenant_id AND h.stream_id = s.stream_id AND h.hour_ms IN EACH(:hours)
WHERE s.node_id = :node_id AND s.meter IN EACH(:meters)
GROUP BY s.meter, h.hour_ms
"""

HOURS = """
SELECT node_id, owner_id, meter, sku, hour_ms, SUM(quantity), SUM(rated), SUM(charged)
FROM usage_hour GROUP BY node_id, owner_id, meter, sku, hour_ms
"""

OPENINGS = """
SELECT allocation_id, accelerators, opened_at_ms, closed_at_ms FROM opening
WHERE node_id = :node_id AND epoch = :epoch AND allocation_id IN EACH(:allocations)
"""

PUT_OPENING = """
INSERT INTO opening (node_id, epoch, allocation_id, opened_at_ms, closed_at_ms, accelerators)
VALUES (:node_id, :epoch, :allocation_id, :opened_at_ms, :closed_at_ms, :accelerators)
ON CONFLICT (node_id, epoch, allocation_id) DO UPDATE SET
    opened_at_ms = excluded.opened_at_ms, closed_at_ms = excluded.closed_at_ms,
    accelerators = excluded.accelerators
"""

PUT_ACCELERATOR_USE = """
INSERT INTO accelerator_use (node_id, epoch, uuid, held_by, since_ms)
VALUES (:node_id, :epoch, :uuid, :held_by, :since_ms)
ON CONFLICT (node_id, epoch, uuid) DO UPDATE SET
    held_by = excluded.held_by, since_ms = excluded.since_ms
"""
