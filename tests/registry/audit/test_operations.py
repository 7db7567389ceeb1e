"""The audit only grows, and a row that was changed, removed or slipped in breaks its chain."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from registry.audit.event import FIRST_HASH, AuditEvent, chain_report, detail_text, event_hash
from registry.audit.operations import record, verify
from registry.audit.queries import list_chain, list_events
from registry.store.database import Database, Db
from registry.store.migrate import migrate
from registry.tenants.roles import SignedIn
from tests.services.databases import Databases

ACTOR = SignedIn(
    person_id="u_1",
    api_key_id=None,
    email="ana@umoja.example",
    tenant_id="t_1",
    project_id="p_1",
    roles=frozenset(),
    request_id="r_1",
    source="192.0.2.7",
)


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    made = Database(databases.copy_of("registry", migrate))
    yield made
    made.close()


def test_an_event_says_who_did_what_from_where_in_which_request(database: Database) -> None:
    database.run(_note, "key.created")

    with database.reading() as db:
        (event,) = list_events(db)

    assert (event.actor, event.action, event.object_id) == ("u_1", "key.created", "k_1")
    assert (event.request_id, event.source) == ("r_1", "192.0.2.7")
    assert event.previous_hash == FIRST_HASH


def test_the_chain_of_untouched_events_holds(database: Database) -> None:
    for number in range(5):
        database.run(_note, f"act.{number}")

    with database.reading() as db:
        report = verify(db)

    assert (report.events, report.broken_at) == (5, None)


def test_events_written_at_once_stand_in_one_chain(database: Database) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: database.run(_note, f"act.{number}"), range(30)))

    with database.reading() as db:
        report = verify(db)

    assert (report.events, report.broken_at) == (30, None)


def test_an_act_that_fails_leaves_no_event(database: Database) -> None:
    with pytest.raises(ValueError, match="no"):
        database.run(_note_and_fail)

    with database.reading() as db:
        assert list_events(db) == []


@pytest.mark.parametrize("field", ["action", "actor", "at_ms", "tenant_id", "result", "detail"])
def test_a_changed_row_breaks_the_chain_at_its_place(database: Database, field: str) -> None:
    chain = _chain_of(database, 4)
    event, kept = chain[2]
    chain[2] = (replace(event, **{field: 7 if field == "at_ms" else "other"}), kept)

    report = chain_report(chain)

    assert (report.broken_at, report.why) == (3, "its fields are not those that were hashed")


def test_a_changed_row_with_a_new_hash_breaks_the_chain_at_the_next(database: Database) -> None:
    chain = _chain_of(database, 4)
    forged = replace(chain[2][0], action="other")
    chain[2] = (forged, event_hash(forged))

    report = chain_report(chain)

    assert (report.broken_at, report.why) == (4, "it does not follow the event before it")


def test_a_removed_row_breaks_the_chain(database: Database) -> None:
    chain = _chain_of(database, 4)
    del chain[1]

    assert chain_report(chain).broken_at == 2


def test_line_breaks_stay_inside_their_value() -> None:
    text = detail_text({"name": 'a\r\n{"actor": "root"}', "count": 2})

    assert "\n" not in text
    assert json.loads(text)["count"] == 2


def _chain_of(database: Database, count: int) -> list[tuple[AuditEvent, str]]:
    for number in range(count):
        database.run(_note, f"act.{number}")
    with database.reading() as db:
        return list(list_chain(db))


def _note(db: Db, action: str) -> None:
    record(db, actor=ACTOR, action=action, object_id="k_1", tenant_id="t_1", now_ms=1_000)


def _note_and_fail(db: Db) -> None:
    _note(db, "act")
    raise ValueError("no")
