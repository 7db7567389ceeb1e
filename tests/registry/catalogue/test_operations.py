"""Loading a catalogue: what is added, from when prices hold, what never changes."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.clock import DAY_MS, HOUR_MS
from protocol.price import Price, price_at
from protocol.refusal import Refusal
from registry.catalogue.operations import Loaded, _new_version, load_catalogue
from registry.catalogue.queries import list_prices, list_skus
from registry.catalogue.sku import Catalogue, PriceLine, SkuLine
from registry.store.database import Database
from registry.store.migrate import migrate
from registry.tenants.roles import SignedIn
from tests.services.databases import Databases

NOW_MS = 1_795_173_400_123
OPERATOR = SignedIn(
    person_id="u_1",
    api_key_id=None,
    email="operator@example.com",
    tenant_id=None,
    project_id=None,
    roles=frozenset(),
    is_platform_admin=True,
)
LINE = SkuLine(
    id="h200.1x",
    sku_class="gpu",
    name="H200",
    price=(PriceLine(meter="gpu.ms", micros=2_500_000, per=HOUR_MS),),
    accelerator_model="NVIDIA H200",
    accelerator_count=1,
    cpu_milli=16_000,
    memory_mib=131_072,
    disk_mib=204_800,
)


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    opened = Database(databases.copy_of("registry", migrate))
    yield opened
    opened.close()


def load(database: Database, *lines: SkuLine, now_ms: int = NOW_MS) -> Loaded:
    return database.run(load_catalogue, Catalogue(sku=lines), actor=OPERATOR, now_ms=now_ms)


def dearer(micros: int) -> SkuLine:
    return SkuLine(
        **{
            **{name: getattr(LINE, name) for name in LINE.__struct_fields__},
            "price": (PriceLine(meter="gpu.ms", micros=micros, per=HOUR_MS),),
        }
    )


def test_a_catalogue_loaded_twice_is_loaded_once(database: Database) -> None:
    first = load(database, LINE)
    again = load(database, LINE, now_ms=NOW_MS + DAY_MS)

    assert first.skus == ("h200.1x",)
    assert again == Loaded(skus=(), prices=())
    with database.reading() as db:
        assert [sku.sku_id for sku in list_skus(db)] == ["h200.1x"]
        assert len(list_prices(db)) == 1


def test_a_first_price_holds_from_the_running_hour(database: Database) -> None:
    (price,) = load(database, LINE).prices

    assert price.effective_at_ms == NOW_MS - NOW_MS % HOUR_MS


def test_a_dearer_price_waits_a_day_and_a_cheaper_one_an_hour(database: Database) -> None:
    load(database, LINE)

    (cheaper,) = load(database, dearer(2_000_000)).prices
    (higher,) = load(database, dearer(3_000_000)).prices

    assert cheaper.effective_at_ms == NOW_MS - NOW_MS % HOUR_MS + HOUR_MS
    assert higher.effective_at_ms >= NOW_MS + DAY_MS
    assert (cheaper.version, higher.version) == (2, 3)


def test_a_shape_that_was_sold_never_changes(database: Database) -> None:
    load(database, LINE)
    bigger = SkuLine(
        **{
            **{name: getattr(LINE, name) for name in LINE.__struct_fields__},
            "memory_mib": 1,
        }
    )

    with pytest.raises(Refusal, match="another shape"):
        load(database, bigger)


def test_only_a_platform_admin_changes_the_catalogue(database: Database) -> None:
    owner = replace(OPERATOR, tenant_id="t_1", roles=frozenset({"owner"}), is_platform_admin=False)

    with pytest.raises(Refusal) as refused:
        database.run(load_catalogue, Catalogue(sku=(LINE,)), actor=owner, now_ms=NOW_MS)

    assert refused.value.status == 403


@given(
    st.lists(
        st.tuples(st.integers(0, 10**7), st.integers(1, 10**7), st.integers(0, 3 * DAY_MS)),
        max_size=12,
    )
)
def test_versions_take_effect_in_their_order_on_hour_edges(
    changes: list[tuple[int, int, int]],
) -> None:
    known: list[Price] = []
    now_ms = NOW_MS
    for micros, per, passed_ms in changes:
        now_ms += passed_ms
        line = PriceLine(meter="gpu.ms", micros=micros, per=per)
        version = _new_version("h200.1x", line, known, now_ms=now_ms)
        if version is not None:
            known.append(version)

    edges = [price.effective_at_ms for price in known]
    assert all(edge % HOUR_MS == 0 for edge in edges)
    assert edges == sorted(set(edges))
    for price in known:
        at_ms = price.effective_at_ms
        assert price_at(known, sku="h200.1x", meter="gpu.ms", at_ms=at_ms) == price
