"""SQL of who this node is, whom it trusts, what it holds signed, and when it was last answered."""

from collections.abc import Iterable
from dataclasses import dataclass

from agent.store.database import Db
from agent.sync.exchange import NotEnrolled
from protocol.balance import TenantBalance
from protocol.enrolment import TrustKey
from protocol.signing import Envelope
from protocol.wire import decode, encode


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is, as the registry said when it enrolled."""

    node_id: str
    node_name: str
    site_name: str
    registry_domain: str
    public_key: bytes
    enrolled_at_ms: int


@dataclass(frozen=True, slots=True)
class Contact:
    """How the node stands with the registry.

    sequence              of the last call of this boot
    last_answer_boot_ms   by the boottime of `boot_id`; None before the first answer
    skew_ms               the machine's clock minus the registry's
    held_back_generation  of a desired state that must come once more
    """

    boot_id: str
    sequence: int
    last_answer_boot_ms: int | None
    last_answer_at_ms: int | None
    skew_ms: int | None
    held_back_generation: int | None


NO_CONTACT = Contact("", 0, None, None, None, None)


def find_identity(db: Db) -> Identity | None:
    """Return who this node is, or None before it was enrolled."""
    row = db.row(
        """
        SELECT node_id, node_name, site_name, registry_domain, public_key, enrolled_at_ms
        FROM identity
        """,
        {},
    )
    if row is None:
        return None
    return Identity(
        node_id=row["node_id"],
        node_name=row["node_name"],
        site_name=row["site_name"],
        registry_domain=row["registry_domain"],
        public_key=bytes.fromhex(row["public_key"]),
        enrolled_at_ms=row["enrolled_at_ms"],
    )


def get_identity(db: Db) -> Identity:
    """Return who this node is."""
    identity = find_identity(db)
    if identity is None:
        raise NotEnrolled
    return identity


def insert_identity(db: Db, identity: Identity) -> None:
    """Keep who this node is, once and for all."""
    db.write(
        """
        INSERT INTO identity (
            id, node_id, node_name, site_name, registry_domain, public_key, enrolled_at_ms
        )
        VALUES (
            1, :node_id, :node_name, :site_name, :registry_domain, :public_key, :enrolled_at_ms
        )
        """,
        {
            "node_id": identity.node_id,
            "node_name": identity.node_name,
            "site_name": identity.site_name,
            "registry_domain": identity.registry_domain,
            "public_key": identity.public_key.hex(),
            "enrolled_at_ms": identity.enrolled_at_ms,
        },
    )


def move_identity_key(db: Db, public_key: bytes) -> None:
    """Keep which key this node signs with from now on."""
    db.write("UPDATE identity SET public_key = :public_key", {"public_key": public_key.hex()})


def list_trusted(db: Db) -> dict[str, bytes]:
    """Return the registry's public keys by key id."""
    rows = db.rows("SELECT key_id, public_key FROM trust_key ORDER BY key_id", {})
    return {row["key_id"]: bytes.fromhex(row["public_key"]) for row in rows}


def replace_trusted(db: Db, keys: Iterable[TrustKey]) -> None:
    """Trust exactly these keys from now on."""
    db.write("DELETE FROM trust_key", {})
    db.write_many(
        "INSERT INTO trust_key (key_id, public_key) VALUES (:key_id, :public_key)",
        ({"key_id": key.key_id, "public_key": key.public_key} for key in keys),
    )


def find_document(db: Db, purpose: str) -> Envelope | None:
    """Return the signed document held for this purpose, unverified, or None."""
    row = db.row(
        "SELECT envelope FROM signed_document WHERE purpose = :purpose", {"purpose": purpose}
    )
    return decode(row["envelope"].encode(), Envelope) if row else None


def put_document(db: Db, envelope: Envelope, *, version: int) -> None:
    """Keep a signed document as it came."""
    db.write(
        """
        INSERT INTO signed_document (purpose, version, envelope)
        VALUES (:purpose, :version, :envelope)
        ON CONFLICT (purpose) DO UPDATE
        SET version = excluded.version, envelope = excluded.envelope
        WHERE excluded.version >= version
        """,
        {
            "purpose": envelope.purpose,
            "version": version,
            "envelope": encode(envelope).decode(),
        },
    )


def find_contact(db: Db) -> Contact:
    """Return how the node stands with the registry."""
    row = db.row(
        """
        SELECT boot_id, sequence, last_answer_boot_ms, last_answer_at_ms, skew_ms,
               held_back_generation
        FROM contact
        """,
        {},
    )
    return Contact(**dict(row)) if row else NO_CONTACT


def put_contact(db: Db, contact: Contact) -> None:
    """Keep how the node stands with the registry."""
    db.write(
        """
        INSERT INTO contact (
            id, boot_id, sequence, last_answer_boot_ms, last_answer_at_ms, skew_ms,
            held_back_generation
        )
        VALUES (
            1, :boot_id, :sequence, :last_answer_boot_ms, :last_answer_at_ms, :skew_ms,
            :held_back_generation
        )
        ON CONFLICT (id) DO UPDATE
        SET boot_id = excluded.boot_id, sequence = excluded.sequence,
            last_answer_boot_ms = excluded.last_answer_boot_ms,
            last_answer_at_ms = excluded.last_answer_at_ms, skew_ms = excluded.skew_ms,
            held_back_generation = excluded.held_back_generation
        """,
        {
            "boot_id": contact.boot_id,
            "sequence": contact.sequence,
            "last_answer_boot_ms": contact.last_answer_boot_ms,
            "last_answer_at_ms": contact.last_answer_at_ms,
            "skew_ms": contact.skew_ms,
            "held_back_generation": contact.held_back_generation,
        },
    )


def replace_balances(db: Db, balances: Iterable[TenantBalance]) -> None:
    """Keep how the money of tenants stands, and forget what was said before."""
    db.write("DELETE FROM tenant_balance", {})
    for one in balances:
        db.write(
            """
            INSERT INTO tenant_balance (tenant_id, state, hourly_micros)
            VALUES (:tenant_id, :state, :hourly_micros)
            ON CONFLICT (tenant_id) DO UPDATE
            SET state = excluded.state, hourly_micros = excluded.hourly_micros
            """,
            {
                "tenant_id": one.tenant_id,
                "state": one.state,
                "hourly_micros": one.hourly_micros,
            },
        )


def list_balances(db: Db) -> list[TenantBalance]:
    """Return how the money of tenants stood when the registry was last heard."""
    rows = db.rows("SELECT tenant_id, state, hourly_micros FROM tenant_balance", {})
    return [TenantBalance(row["tenant_id"], row["state"], row["hourly_micros"]) for row in rows]
