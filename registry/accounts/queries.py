"""SQL of the accounts."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from registry.accounts.sign_in import Window
from registry.store.database import Db
from registry.store.tables.accounts import person, session, sign_in_link, sign_in_throttle


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a mailbox."""

    person_id: str
    email: str
    is_platform_admin: bool
    is_disabled: bool


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is neither ended nor over, and where its person works."""

    session_id: str
    person_id: str
    email: str
    is_platform_admin: bool
    tenant_id: str | None
    project_id: str | None


@dataclass(frozen=True, slots=True)
class Link:
    """A letter's link and code."""

    link_id: str
    email: str
    code_hash: str
    code_tries: int
    created_at_ms: int
    expires_at_ms: int
    used_at_ms: int | None


@dataclass(frozen=True, slots=True)
class LinkHashes:
    """What is stored of the three secrets of a letter."""

    token: str
    attempt: str
    code: str


def find_person(db: Db, email: str) -> Person | None:
    """Return the person with this address."""
    return _person(db.row(select(person).where(person.c.email == email)))


def get_emails(db: Db, person_ids: Iterable[str]) -> dict[str, str]:
    """Return the addresses of people by their ids; unknown ids are left out."""
    wanted = sorted(set(person_ids))
    rows = db.rows(select(person.c.person_id, person.c.email).where(person.c.person_id.in_(wanted)))
    return {row.person_id: row.email for row in rows}


def insert_person(db: Db, found: Person, *, now_ms: int) -> bool:
    """Add a person; False if the address is known already."""
    return db.insert_new(
        person,
        {
            "person_id": found.person_id,
            "email": found.email,
            "is_platform_admin": int(found.is_platform_admin),
            "is_disabled": int(found.is_disabled),
            "created_at_ms": now_ms,
        },
    )


def note_platform_admin(db: Db, person_id: str) -> bool:
    """Make the person a platform admin; False if they are one."""
    statement = (
        update(person)
        .where(person.c.person_id == person_id, person.c.is_platform_admin == 0)
        .values(is_platform_admin=1)
    )
    return db.write(statement) == 1


def insert_link(
    db: Db, link_id: str, email: str, hashes: LinkHashes, *, source: str, times: tuple[int, int]
) -> None:
    """Add a link.  times: when it was made and when it ends"""
    db.write(
        insert(sign_in_link).values(
            link_id=link_id,
            email=email,
            token_hash=hashes.token,
            code_hash=hashes.code,
            attempt_hash=hashes.attempt,
            code_tries=0,
            created_at_ms=times[0],
            expires_at_ms=times[1],
            source=source,
        )
    )


def find_link(db: Db, *, token_hash: str = "", attempt_hash: str = "") -> Link | None:
    """Return the link with this token or of this attempt."""
    statement = select(sign_in_link).where(
        sign_in_link.c.token_hash == token_hash
        if token_hash
        else sign_in_link.c.attempt_hash == attempt_hash
    )
    row = db.row(statement)
    if row is None:
        return None
    return Link(
        link_id=row.link_id,
        email=row.email,
        code_hash=row.code_hash,
        code_tries=row.code_tries,
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
        used_at_ms=row.used_at_ms,
    )


def move_link_to_used(db: Db, link_id: str, *, now_ms: int) -> bool:
    """Spend the link; False if it was spent or is over."""
    statement = (
        update(sign_in_link)
        .where(
            sign_in_link.c.link_id == link_id,
            sign_in_link.c.used_at_ms.is_(None),
            sign_in_link.c.expires_at_ms > now_ms,
        )
        .values(used_at_ms=now_ms)
    )
    return db.write(statement) == 1


def note_code_try(db: Db, link_id: str) -> None:
    """Count one try of the code."""
    db.write(
        update(sign_in_link)
        .where(sign_in_link.c.link_id == link_id)
        .values(code_tries=sign_in_link.c.code_tries + 1)
    )


def find_window(db: Db, subject: str) -> Window | None:
    """Return how often this address or source tried."""
    row = db.row(select(sign_in_throttle).where(sign_in_throttle.c.subject == subject))
    return None if row is None else Window(row.tries, row.begun_at_ms)


def keep_window(db: Db, subject: str, window: Window) -> None:
    """Keep how often it tried."""
    values = {"subject": subject, "tries": window.tries, "begun_at_ms": window.begun_at_ms}
    db.upsert(sign_in_throttle, ["subject"], values)


def insert_session(
    db: Db, session_id: str, *, person_id: str, token_hash: str, source: str, times: tuple[int, int]
) -> None:
    """Begin a session where the person's last one worked.  times: its begin and its end"""
    last = db.row(
        select(session.c.tenant_id, session.c.project_id)
        .where(session.c.person_id == person_id)
        .order_by(session.c.created_at_ms.desc())
        .limit(1)
    )
    db.write(
        insert(session).values(
            session_id=session_id,
            token_hash=token_hash,
            person_id=person_id,
            tenant_id=None if last is None else last.tenant_id,
            project_id=None if last is None else last.project_id,
            created_at_ms=times[0],
            expires_at_ms=times[1],
            source=source,
        )
    )


def find_session(db: Db, token_hash: str, *, now_ms: int) -> Session | None:
    """Return the session with this token, if it holds and its person is not disabled."""
    row = db.row(
        select(session, person.c.email, person.c.is_platform_admin)
        .join(person, person.c.person_id == session.c.person_id)
        .where(
            session.c.token_hash == token_hash,
            session.c.ended_at_ms.is_(None),
            session.c.expires_at_ms > now_ms,
            person.c.is_disabled == 0,
        )
    )
    if row is None:
        return None
    return Session(
        session_id=row.session_id,
        person_id=row.person_id,
        email=row.email,
        is_platform_admin=bool(row.is_platform_admin),
        tenant_id=row.tenant_id,
        project_id=row.project_id,
    )


def move_session_to_ended(db: Db, token_hash: str, *, now_ms: int) -> bool:
    """End a session; False if there is none or it has ended."""
    statement = (
        update(session)
        .where(session.c.token_hash == token_hash, session.c.ended_at_ms.is_(None))
        .values(ended_at_ms=now_ms)
    )
    return db.write(statement) == 1


def note_space(db: Db, token_hash: str, *, tenant_id: str, project_id: str) -> None:
    """Keep where the session's person works now."""
    db.write(
        update(session)
        .where(session.c.token_hash == token_hash)
        .values(tenant_id=tenant_id, project_id=project_id)
    )


def forget_old(db: Db, *, before_ms: int) -> int:
    """Delete sessions, links and counts that were over before a moment; return how many."""
    return (
        db.write(delete(session).where(session.c.expires_at_ms < before_ms))
        + db.write(delete(sign_in_link).where(sign_in_link.c.expires_at_ms < before_ms))
        + db.write(delete(sign_in_throttle).where(sign_in_throttle.c.begun_at_ms < before_ms))
    )


def _person(row: Row[Any] | None) -> Person | None:
    if row is None:
        return None
    return Person(
        person_id=row.person_id,
        email=row.email,
        is_platform_admin=bool(row.is_platform_admin),
        is_disabled=bool(row.is_disabled),
    )
