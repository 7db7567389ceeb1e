"""SQL of the calls: metering rows without content."""

from agent.gateway.metered import Checkpoint, ClosedCall, LeftOpen, OpenCall, Stream
from agent.gateway.price_list import Tokens
from agent.store.database import Db

LEFT_OPEN_MAX = 100_000


def insert_call(db: Db, call: OpenCall, *, lease_id: int) -> None:
    """Note a call that is about to begin."""
    db.write(
        """
        INSERT INTO call (call_id, key_id, tenant_id, project_id, model, endpoint, lease_id, worst,
                          started_at_ms)
        VALUES (:call_id, :key_id, :tenant_id, :project_id, :model, :endpoint, :lease_id, :worst,
                :started_at_ms)
        """,
        {
            "call_id": call.call_id,
            "key_id": call.key_id,
            "tenant_id": call.tenant_id,
            "project_id": call.project_id,
            "model": call.model,
            "endpoint": call.endpoint,
            "lease_id": lease_id,
            "worst": call.worst,
            "started_at_ms": call.started_at_ms,
        },
    )


def move_call_to_closed(db: Db, call: ClosedCall) -> bool:
    """Close an open call; False if it is not open.

    A call that came to nothing has nothing to be recorded, so it counts as recorded at once.
    """
    moved = db.write(
        """
        UPDATE call
        SET state = 'closed', tokens_in = :tokens_in, tokens_out = :tokens_out,
            requests = :requests, micros = :micros, finished_at_ms = :finished_at_ms,
            exactness = :exactness, outcome = :outcome, backend = :backend, recorded = :recorded
        WHERE call_id = :call_id AND state = 'open'
        """,
        {
            "call_id": call.call_id,
            "tokens_in": call.tokens.tokens_in,
            "tokens_out": call.tokens.tokens_out,
            "requests": call.tokens.requests,
            "micros": call.micros,
            "finished_at_ms": call.finished_at_ms,
            "exactness": "exact" if call.exact else "estimated",
            "outcome": call.outcome,
            "backend": call.backend,
            "recorded": int(call.tokens == Tokens()),
        },
    )
    return moved == 1


def add_to_total(db: Db, stream: Stream, tokens: Tokens) -> None:
    """Count a closed call into its stream."""
    key_id, model = stream
    db.write(
        """
        INSERT INTO call_total (key_id, model, tokens_in, tokens_out, requests)
        VALUES (:key_id, :model, :tokens_in, :tokens_out, :requests)
        ON CONFLICT (key_id, model) DO UPDATE
        SET tokens_in = tokens_in + excluded.tokens_in,
            tokens_out = tokens_out + excluded.tokens_out,
            requests = requests + excluded.requests
        """,
        {
            "key_id": key_id,
            "model": model,
            "tokens_in": tokens.tokens_in,
            "tokens_out": tokens.tokens_out,
            "requests": tokens.requests,
        },
    )


def put_checkpoint(db: Db, checkpoint: Checkpoint) -> None:
    """Note how far a call under way has come; a closed one stays as it is."""
    db.write(
        """
        UPDATE call
        SET tokens_in = :tokens_in, tokens_out = :tokens_out, requests = :requests
        WHERE call_id = :call_id AND state = 'open'
        """,
        {
            "call_id": checkpoint.call_id,
            "tokens_in": checkpoint.tokens.tokens_in,
            "tokens_out": checkpoint.tokens.tokens_out,
            "requests": checkpoint.tokens.requests,
        },
    )


def list_left_open(db: Db) -> list[LeftOpen]:
    """Return the calls that are open, oldest first."""
    rows = db.rows(
        """
        SELECT call_id, key_id, model, tokens_in, tokens_out, requests
        FROM call WHERE state = 'open' ORDER BY started_at_ms LIMIT :most
        """,
        {"most": LEFT_OPEN_MAX},
    )
    return [
        LeftOpen(
            call_id=row["call_id"],
            stream=(row["key_id"], row["model"]),
            tokens=Tokens(row["tokens_in"], row["tokens_out"], row["requests"]),
        )
        for row in rows
    ]


def list_totals(db: Db) -> dict[Stream, Tokens]:
    """Return what each stream has come to."""
    return {
        (row["key_id"], row["model"]): Tokens(row["tokens_in"], row["tokens_out"], row["requests"])
        for row in db.rows(
            "SELECT key_id, model, tokens_in, tokens_out, requests FROM call_total", {}
        )
    }


def delete_recorded(db: Db, *, before_ms: int, most: int) -> int:
    """Remove old calls that stand in the usage log already; return how many."""
    return db.write(
        """
        DELETE FROM call WHERE call_id IN (
            SELECT call_id FROM call
            WHERE recorded = 1 AND finished_at_ms < :before_ms LIMIT :most
        )
        """,
        {"before_ms": before_ms, "most": most},
    )
