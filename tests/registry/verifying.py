"""A check of every log at a desk."""

from protocol.checkpoint import witness_name
from protocol.signing import public_bytes
from registry.usage.operations import UsageReport, verify
from tests.registry.recording import DOMAIN, REGISTRY_KEY, Desk


def check(here: Desk) -> UsageReport:
    """Check every log."""
    with here.database.reading() as db:
        return verify(
            db,
            surroundings=here.surroundings(),
            site_of=lambda _db, _node_id: ("s_1", 7_000),
            witness=witness_name(DOMAIN),
            witness_key=public_bytes(REGISTRY_KEY),
        )
