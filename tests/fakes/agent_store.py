"""An agent's database with nothing around it, and the two keys whose signatures meet in its log."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.store.database import Db, open_database
from agent.store.migrate import migrate, read_steps
from agent.usage_log.key_change import KeyChange
from agent.usage_log.operations import begin_log
from protocol.checkpoint import Checkpoint, cosignature, log_origin, signed_checkpoint, witness_name
from protocol.signing import public_bytes
from protocol.usage import Heartbeat, Use

DOMAIN = "registry.example"
NODE_ID = "n_00000000000000000000000000001"
ORIGIN = log_origin(DOMAIN, NODE_ID, 0)
WITNESS = witness_name(DOMAIN)
NODE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
REGISTRY_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
NODE_PUBLIC = public_bytes(NODE_KEY)
REGISTRY_PUBLIC = public_bytes(REGISTRY_KEY)
MINUTE_MS = 60_000
BEGIN_MS = 1_795_172_400_000
"""An hour edge."""


@contextmanager
def migrated(folder: Path) -> Iterator[Db]:
    """A database with every table and an empty log."""
    with closing(open_database(folder / "agent.db")) as db:
        migrate(db, read_steps())
        with db.unit():
            begin_log(db, registry_domain=DOMAIN, node_id=NODE_ID, epoch=0)
        yield db


def sign(checkpoint: Checkpoint, change: KeyChange | None = None) -> str:
    """The node's signature."""
    assert change is None
    return signed_checkpoint(checkpoint, NODE_KEY)


def cosign(checkpoint: Checkpoint, at_s: int = 1_795_172_400) -> str:
    """The registry's cosignature line."""
    return cosignature(checkpoint, witness=WITNESS, key=REGISTRY_KEY, at_s=at_s)


def use(at: int, *, owner: str = "a_1", minutes: int = 1) -> Use:
    """The record of minute `at` of a stream that holds one GPU from BEGIN_MS on."""
    begin_ms = BEGIN_MS + at * MINUTE_MS
    return Use(
        allocation_id=owner,
        tenant_id="t_1",
        project_id="p_1",
        sku="h200.1x",
        meter="gpu.ms",
        lease_id=1,
        begin_ms=begin_ms,
        end_ms=begin_ms + minutes * MINUTE_MS,
        quantity=minutes * MINUTE_MS,
        cumulative=(at + minutes) * MINUTE_MS,
    )


def beat(at: int) -> Heartbeat:
    """A sign of life in minute `at`."""
    return Heartbeat(at_ms=BEGIN_MS + at * MINUTE_MS, boottime_ms=at * MINUTE_MS, skew_ms=0)
