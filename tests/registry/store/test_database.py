"""Units of work behave the same on both engines."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import DBAPIError

from protocol.refusal import Refusal
from registry.store.database import Conflict, Database, DatabaseAway, Db, rerun
from registry.store.migrate import migrate
from registry.store.tables.server import idempotent_answer
from tests.services.databases import Databases


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    made = Database(databases.copy_of("registry", migrate))
    yield made
    made.close()


def test_a_unit_is_kept_whole_or_not_at_all(database: Database) -> None:
    with database.unit() as db:
        db.insert_new(idempotent_answer, _row("a"))

    with pytest.raises(ValueError, match="no"):
        _insert_and_fail(database)

    assert _keys(database) == ["a"]


def test_a_savepoint_fails_alone(database: Database) -> None:
    with database.unit() as db:
        db.insert_new(idempotent_answer, _row("a"))
        with pytest.raises(ValueError, match="part"):
            _insert_and_fail_in_part(db)
        db.insert_new(idempotent_answer, _row("c"))

    assert _keys(database) == ["a", "c"]


def test_inserting_what_is_there_says_so_and_does_nothing(database: Database) -> None:
    with database.unit() as db:
        first = db.insert_new(idempotent_answer, _row("a", body="one"))
        second = db.insert_new(idempotent_answer, _row("a", body="two"))

    assert (first, second) == (True, False)
    assert _bodies(database) == ["one"]


def test_an_upsert_takes_the_place_of_the_row(database: Database) -> None:
    with database.unit() as db:
        for body in ("one", "two"):
            db.upsert(idempotent_answer, ["scope", "key"], _row("a", body=body))

    assert _bodies(database) == ["two"]


def test_a_reading_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError), database.reading() as db:
        db.write(insert(idempotent_answer).values(**_row("a")))

    assert _keys(database) == []


def test_a_query_outside_a_unit_fails(database: Database) -> None:
    with pytest.raises(AssertionError, match="outside a unit"):
        database.db().row(select(idempotent_answer))


def test_a_unit_inside_another_fails(database: Database) -> None:
    db = database.db()
    with pytest.raises(AssertionError, match="inside another"), db.unit(), db.reading():
        pass


def test_of_two_units_at_once_none_loses_what_the_other_did(database: Database) -> None:
    with database.unit() as db:
        db.insert_new(idempotent_answer, _row("count") | {"status": 0})

    threads = [threading.Thread(target=_count_up, args=(database, 10)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.reading() as db:
        assert db.value(select(idempotent_answer.c.status)) == 40


def test_a_reader_sees_one_state_while_others_write(database: Database) -> None:
    with database.unit() as db:
        db.insert_new(idempotent_answer, _row("a"))

    with database.reading() as reader:
        before = reader.rows(select(idempotent_answer.c.key))
        with database.unit() as writer:
            writer.insert_new(idempotent_answer, _row("b"))
        after = reader.rows(select(idempotent_answer.c.key))

    assert before == after


def test_work_that_always_meets_others_is_given_up_politely() -> None:
    tries = []

    def meets() -> None:
        tries.append(1)
        raise Conflict

    with pytest.raises(Refusal) as refused:
        rerun(meets)

    assert refused.value.status == 503
    assert refused.value.retry_after_s == 2
    assert len(tries) == 10


def test_tables_refuse_values_of_another_type(database: Database) -> None:
    with pytest.raises(DBAPIError), database.unit() as db:
        db.connection.exec_driver_sql(
            "INSERT INTO person (person_id, email, is_platform_admin, is_disabled, created_at_ms)"
            " VALUES ('u', 'e', 0, 0, 'soon')"
        )


def _insert_and_fail(database: Database) -> None:
    with database.unit() as db:
        db.insert_new(idempotent_answer, _row("b"))
        raise ValueError("no")


def _insert_and_fail_in_part(db: Db) -> None:
    with db.savepoint():
        db.insert_new(idempotent_answer, _row("b"))
        raise ValueError("part")


def _count_up(database: Database, times: int) -> None:
    for _ in range(times):
        database.run(_add_one)


def _add_one(db: Db) -> None:
    found = db.value(select(idempotent_answer.c.status))
    db.write(update(idempotent_answer).values(status=found + 1))


def _row(key: str, body: str = "") -> dict[str, object]:
    return {
        "scope": "s",
        "key": key,
        "request_hash": "h",
        "status": 1,
        "body": body,
        "expires_at_ms": 1,
    }


def _keys(database: Database) -> list[str]:
    with database.reading() as db:
        rows = db.rows(select(idempotent_answer.c.key).order_by(idempotent_answer.c.key))
        return [row.key for row in rows]


def _bodies(database: Database) -> list[str]:
    with database.reading() as db:
        return [row.body for row in db.rows(select(idempotent_answer.c.body))]


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////proc/none/registry.db",
        "postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=2",
    ],
)
def test_a_database_that_cannot_be_reached_is_said_and_is_worth_another_try(url: str) -> None:
    database = Database(url)

    with pytest.raises(DatabaseAway) as away, database.unit():
        pass

    assert (away.value.status, away.value.why != "") == (503, True)
    assert away.value.retry_after_s is not None
