"""Background work: one process acts, others wait, and a dead one is replaced."""

from collections.abc import Iterator

import pytest

from protocol.clock import MINUTE_MS
from registry.jobs import DUTY_MS, Duty, run_round
from registry.store.database import Database
from registry.store.migrate import migrate
from tests.services.databases import Databases


class SetClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_ms = 1_795_173_400_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    opened = Database(databases.copy_of("registry", migrate))
    yield opened
    opened.close()


def test_of_two_processes_one_acts(database: Database) -> None:
    clock = SetClock()
    first, second = Duty(database, holder="a", clock=clock), Duty(database, holder="b", clock=clock)

    assert first.once() == "leases 0, grants 0, shares 0, nonces 0, answers 0, sign_ins 0"
    assert second.once() == "another process acts"


def test_another_takes_over_when_the_first_has_been_silent(database: Database) -> None:
    clock = SetClock()
    first, second = Duty(database, holder="a", clock=clock), Duty(database, holder="b", clock=clock)
    first.once()

    clock.now_ms += DUTY_MS

    assert second.once().startswith("leases 0")
    assert first.once() == "another process acts"


def test_a_job_is_done_again_only_when_it_is_due(database: Database) -> None:
    clock = SetClock()
    duty = Duty(database, holder="a", clock=clock)
    duty.once()

    clock.now_ms += MINUTE_MS - 1
    early = duty.once()
    clock.now_ms += 1

    assert early == "nothing is due"
    assert duty.once() == "leases 0, grants 0, nonces 0"


def test_a_round_without_a_database_ends_and_the_next_one_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    away = Database("sqlite:////proc/none/registry.db")

    run_round(Duty(away, holder="a", clock=SetClock()))

    assert [record.message for record in caplog.records] == ["jobs wait"]
