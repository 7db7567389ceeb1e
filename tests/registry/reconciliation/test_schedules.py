"""A thousand random lives of payments: none is credited twice, none is missed, the books agree."""

from pathlib import Path

import pytest

from tests.registry.schedules import scheduling
from tests.registry.till import running_till
from tests.services.databases import Databases
from tests.services.postgres import Cluster

SHARDS = 8
SCHEDULES_PER_SHARD = 128
ON_POSTGRES = 40


@pytest.mark.parametrize(
    "seed",
    [pytest.param(seed, marks=(pytest.mark.long,) if seed else ()) for seed in range(SHARDS)],
)
def test_no_order_of_things_doubles_or_loses_a_payment(
    run_folder: Path, tmp_path: Path, seed: int
) -> None:
    databases = Databases(run_folder, None)
    with running_till(databases, tmp_path) as till:
        schedules = scheduling(till, seed)
        for _ in range(SCHEDULES_PER_SHARD):
            schedules.run()
    databases.drop_all()


@pytest.mark.postgres
def test_the_same_holds_on_postgresql(run_folder: Path, tmp_path: Path, postgres: Cluster) -> None:
    databases = Databases(run_folder, postgres)
    with running_till(databases, tmp_path) as till:
        schedules = scheduling(till, 1_000)
        for _ in range(ON_POSTGRES):
            schedules.run()
    databases.drop_all()
