"""SQL of who holds which GPU.  The primary key makes it impossible to hand one out twice."""

import json
from collections.abc import Sequence

from agent.store.database import Db
from protocol.ids import AllocationId

CLAIMS_MAX = 1_024
"""Far more than a machine holds: one row per card that was ever claimed and not freed."""


def list_claims(db: Db) -> dict[str, AllocationId]:
    """Return the holder of each held GPU, by UUID."""
    rows = db.rows(
        "SELECT uuid, allocation_id FROM gpu_claim ORDER BY uuid LIMIT :limit",
        {"limit": CLAIMS_MAX},
    )
    return {row["uuid"]: AllocationId(row["allocation_id"]) for row in rows}


def list_uuids_of(db: Db, allocation_id: AllocationId) -> list[str]:
    """Return the GPUs that `allocation_id` holds."""
    rows = db.rows(
        """
        SELECT uuid FROM gpu_claim WHERE allocation_id = :allocation_id
        ORDER BY uuid LIMIT :limit
        """,
        {"allocation_id": allocation_id, "limit": CLAIMS_MAX},
    )
    return [row["uuid"] for row in rows]


def insert_claims(
    db: Db, uuids: Sequence[str], *, allocation_id: AllocationId, since_ms: int
) -> bool:
    """Claim all of `uuids` for one allocation; False, and none claimed, if one of them is held."""
    claimed = db.write(
        """
        INSERT INTO gpu_claim (uuid, allocation_id, since_ms)
        SELECT wanted.value, :allocation_id, :since_ms FROM json_each(:uuids) AS wanted
        WHERE NOT EXISTS (
            SELECT 1 FROM gpu_claim WHERE uuid IN (SELECT value FROM json_each(:uuids))
        )
        """,
        {"uuids": json.dumps(list(uuids)), "allocation_id": allocation_id, "since_ms": since_ms},
    )
    return claimed == len(uuids)


def delete_claims(db: Db, allocation_id: AllocationId) -> int:
    """Free every GPU of `allocation_id`; return how many it held."""
    return db.write(
        "DELETE FROM gpu_claim WHERE allocation_id = :allocation_id",
        {"allocation_id": allocation_id},
    )
