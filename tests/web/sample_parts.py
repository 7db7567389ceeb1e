"""Pieces of pages filled with what a small real cloud would hold."""

from web.navigation import navigation
from web.view_models.allocations import ReceiptRow, WorkloadRow
from web.view_models.billing import LedgerRow
from web.view_models.overview import Funds
from web.view_models.parts import (
    Activity,
    AttentionItem,
    Chart,
    GpuRow,
    PathStep,
    Series,
)
from web.view_models.shell import ADD_NODE, LAUNCH, Balance, Banner, Shell, Space

NOW_MS = 1_795_173_420_000
SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

LOW = Banner(
    "warning",
    "Balance low: $6.41 left.",
    "At the current $4.70 per hour, 2 running workloads stop at about 15:38 today. "
    "Data is kept for 7 days after that.",
    (("Add funds", "/billing/add-funds"),),
)
BANNERS = (
    LOW,
    Banner("critical", "Balance critical: $1.20 left.", "train-sw-llm stops first, in 14 min."),
    Banner("depleted", "Balance used up at 15:38.", "2 workloads stopped; nothing is lost yet."),
    Banner("pending", "$50 is on its way.", "The bank confirms, usually within a minute."),
    Banner("failed", "Card refused: insufficient funds.", "", (("Try another", "/billing"),)),
    Banner("unverified", "$12.30 of usage is held,", "not charged, until acc-park-3 reconnects."),
)


def shell(path: str, *, banners: tuple[Banner, ...] = (LOW,), operator: bool = True) -> Shell:
    """Return the frame of a page for an operator, or for a plain member."""
    roles = {"owner", "site_operator"} if operator else {"member"}
    return Shell(
        email="amina@umoja.example",
        nav=navigation(roles, path),
        now_ms=NOW_MS,
        spaces=(
            Space("t_1", "p_1", "Umoja Edge", "default", current=True),
            Space("t_1", "p_2", "Umoja Edge", "research"),
        ),
        banners=banners,
        balance=Balance(6_410_000, "low"),
        primary=ADD_NODE if path.startswith(("/nodes", "/sites")) else LAUNCH,
        search_url="/search",
    )


def workload(
    number: int,
    name: str,
    state: str,
    *,
    silent: bool = False,
    ended: bool = False,
) -> WorkloadRow:
    """Return one row of workloads."""
    return WorkloadRow(
        allocation_id=f"a_{number:05d}",
        name=name,
        href=f"/workloads/a_{number:05d}",
        state=state,
        charging=state == "active",
        gpu_count=2,
        accelerator="A100 80GB",
        simulated=number % 2 == 0,
        site="nbo-telecom-1",
        created_at_ms=NOW_MS - number * 37 * MINUTE_MS,
        price_micros_per_hour=3_700_000,
        cost_micros=12_345_678 * number,
        owner="amina",
        no_contact_since_at_ms=NOW_MS - 20 * MINUTE_MS if silent else None,
        moved_to_history=ended,
    )


WORKLOADS = (
    workload(1, "train-sw-llm", "active"),
    workload(2, "whisper-batch", "provisioning"),
    workload(3, "embed-docs", "active", silent=True),
    workload(4, "notebook-amina", "releasing"),
    workload(5, "nightly-eval", "failed"),
    workload(6, "chat-demo", "insufficient_balance"),
    workload(7, "old-run", "released", ended=True),
)

GPUS = (
    GpuRow(
        0,
        "A100 80GB",
        "GPU-5f1c0d2e-8a11-4b1e-9f0a-000000000000",
        True,
        81_920,
        61_000,
        87,
        64,
        310,
        "train-sw-llm",
        "/workloads/a_00001",
    ),
    GpuRow(
        1, "A100 80GB", "GPU-5f1c0d2e-8a11-4b1e-9f0a-000000000001", True, 81_920, 512, 0, 41, 62
    ),
    GpuRow(2, "A100 80GB", "GPU-5f1c0d2e-8a11-4b1e-9f0a-000000000002", False, 81_920),
)

FUNDS = Funds(6_410_000, 4_700_000, 4_909_000, 312_400_000, 12_300_000, "low")
NO_FUNDS = Funds(0, 0, None, 0, 0, "depleted")

ATTENTION = (
    AttentionItem(
        "bad",
        "Critical",
        "acc-park-3-gpu02 lost contact; 6 workloads keep running there",
        "A. Mensah · Site visit booked 14:00",
        "/nodes/n_3",
        NOW_MS - 3 * HOUR_MS,
    ),
    AttentionItem(
        "warn",
        "Degraded",
        "GPU 5 at 91 °C on acc-park-3-gpu01, clocks lowered",
        "Unassigned",
        "/nodes/n_4",
        NOW_MS - 42 * MINUTE_MS,
    ),
    AttentionItem(
        "stale",
        "Held",
        "Usage log of kgl-hosp-1 not verified since 09:12",
        "Waiting for its next contact",
        "/nodes/n_5",
        NOW_MS - 26 * MINUTE_MS,
    ),
)

STEPS = (
    PathStep("Requested", "done", NOW_MS - 95 * SECOND_MS, "by amina"),
    PathStep("Placed", "done", NOW_MS - 94 * SECOND_MS, "nbo-telecom-1-gpu01"),
    PathStep("Image pulled", "done", NOW_MS - 61 * SECOND_MS, "3.2 GB of 3.2 GB"),
    PathStep("Probing", "current", NOW_MS - 9 * SECOND_MS, "waits for port 8000"),
    PathStep("Active", "future"),
)

ACTIVITY = (
    Activity(NOW_MS - 9 * SECOND_MS, "nbo-telecom-1-gpu01", "The container started."),
    Activity(NOW_MS - 94 * SECOND_MS, "registry", "Placed on nbo-telecom-1-gpu01."),
    Activity(NOW_MS - 95 * SECOND_MS, "amina@umoja.example", "Asked for 2 × A100 80GB."),
)

RECEIPTS = tuple(
    ReceiptRow(
        NOW_MS - (number + 1) * MINUTE_MS,
        NOW_MS - number * MINUTE_MS,
        120_000,
        "gpu.ms",
        123_333,
        f"/billing/receipts/cloud.example/log/n_1/0/{number}",
    )
    for number in range(4)
)


def spend(chart_id: str = "spend") -> Chart:
    """Return thirty days of spending with a gap of two days."""
    values = [4_000_000 + (day * 2_654_435 % 9_000_000) for day in range(30)]
    gaps = tuple(None if day in (11, 12) else value for day, value in enumerate(values))
    return Chart(
        chart_id=chart_id,
        title="Spending, last 30 days",
        summary="Spending per day lay between $4.20 and $12.90; nothing is known of two days.",
        unit="micros",
        times_ms=tuple(NOW_MS - (30 - day) * DAY_MS for day in range(30)),
        series=(
            Series("Spent", gaps, "filled"),
            Series("Limit", tuple([14_000_000] * 30), "dashed"),
        ),
    )


def ledger_rows(many: int) -> tuple[LedgerRow, ...]:
    """Return entries of a ledger, newest first."""
    return tuple(
        LedgerRow(NOW_MS - number * MINUTE_MS, "Added funds (demo)", 0, 50_000_000, 56_410_000)
        if number % 5 == 4
        else LedgerRow(
            NOW_MS - number * MINUTE_MS,
            "train-sw-llm",
            61_667 + number * 7,
            0,
            6_410_000 - number * 61_667,
            "/workloads/a_00001",
            120_000,
            "gpu.ms",
            f"/billing/receipts/cloud.example/log/n_1/0/{number}",
        )
        for number in range(many)
    )
