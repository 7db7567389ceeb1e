"""A page costs the same number of statements however much there is to show."""

from collections.abc import Callable

from sqlalchemy import event, text

from protocol.manifest import Manifest
from protocol.wire import encode
from registry.store.database import Db
from tests.registry.marketplace import HOURLY, IMAGE, SKU, Customer, Marketplace

MANY = 10_000
STATEMENTS_MAX = 40
PAGES = (
    "/",
    "/workloads",
    "/workloads?tab=history&filter=site:demo",
    "/workloads?as=json",
    "/launch",
    "/billing",
    "/billing/ledger",
    "/search?q=job",
)
SECONDS = """
SELECT i FROM (
    WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < :many)
    SELECT i FROM numbers
) AS counted
"""


def test_ten_thousand_workloads_and_entries_cost_as_many_statements_as_one(
    market: Marketplace,
) -> None:
    ana = market.customer()
    market.runs(ana.launched(name="job-0"))
    few = _statements(market, ana)

    with market.rig.database.unit() as db:
        _add_workloads(db, market, ana)
        _add_entries(db, ana)
    many = _statements(market, ana)

    assert {path for path in PAGES if many[path] > few[path]} == set()
    assert max(many.values()) <= STATEMENTS_MAX, many


def _statements(market: Marketplace, ana: Customer) -> dict[str, int]:
    counted = {}
    for path in PAGES:
        with _counting(market) as count:
            answer = ana.browser.get(path)
        assert answer.status_code == 200, path
        counted[path] = count()
    return counted


class _counting:
    """Counts the statements that reach the database."""

    def __init__(self, market: Marketplace) -> None:
        self._engine = market.rig.database.engine
        self._count = 0

    def __enter__(self) -> Callable[[], int]:
        event.listen(self._engine, "before_cursor_execute", self._counted)
        return lambda: self._count

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._counted)

    def _counted(self, *_: object) -> None:
        self._count += 1


def _add_workloads(db: Db, market: Marketplace, ana: Customer) -> None:
    values = {
        "many": MANY,
        "tenant": ana.tenant_id,
        "project": ana.project_id,
        "sku": SKU,
        "node": market.node_id,
        "manifest": encode(Manifest(image=IMAGE)).decode(),
        "hourly": HOURLY,
        "now": market.rig.clock(),
    }
    db.execute(
        text(
            f"""
            INSERT INTO allocation (allocation_id, tenant_id, project_id, name, sku_id,
                accelerator_count, node_id, state, manifest, hourly_micros, created_by,
                created_at_ms, ready_at_ms, ended_at_ms, cleaned_at_ms)
            SELECT 'a_' || i, :tenant, :project, 'job-' || i, :sku, 1, :node,
                CASE WHEN i % 3 = 0 THEN 'released' ELSE 'active' END, :manifest, :hourly,
                'u_nobody', :now - i, :now - i,
                CASE WHEN i % 3 = 0 THEN :now ELSE NULL END,
                CASE WHEN i % 3 = 0 THEN :now ELSE NULL END
            FROM ({SECONDS}) AS n
            """
        ),
        values,
    )
    db.execute(
        text(
            f"""
            INSERT INTO allocation_event (allocation_id, at_ms, state, fact, actor)
            SELECT 'a_' || i, :now - i, 'active', 'running', 'node' FROM ({SECONDS}) AS n
            """
        ),
        {"many": MANY, "now": market.rig.clock()},
    )


def _add_entries(db: Db, ana: Customer) -> None:
    db.execute(
        text(
            f"""
            INSERT INTO journal (id, src, kind, at_ms, ref, memo, meter, quantity)
            SELECT 1000 + i, 'test:' || i, 'usage', i, 'a_' || i, '', 'gpu.ms', 1
            FROM ({SECONDS}) AS n
            """
        ),
        {"many": MANY},
    )
    db.execute(
        text(
            f"""
            INSERT INTO posting (journal_id, account, micros)
            SELECT 1000 + i, account, micros FROM ({SECONDS}) AS n
            CROSS JOIN (
                SELECT :wallet AS account, 1 AS micros UNION ALL SELECT 'A:bank', -1
            ) AS leg
            """
        ),
        {"many": MANY, "wallet": f"L:wallet:{ana.tenant_id}"},
    )
