"""Home, workloads, money and refusals in every state."""

from dataclasses import replace

from tests.web.sample_parts import (
    ACTIVITY,
    ATTENTION,
    DAY_MS,
    FUNDS,
    GPUS,
    HOUR_MS,
    MINUTE_MS,
    NO_FUNDS,
    NOW_MS,
    RECEIPTS,
    SECOND_MS,
    STEPS,
    WORKLOADS,
    ledger_rows,
    spend,
)
from web.view_models.allocations import WorkloadPage, WorkloadsPage
from web.view_models.billing import (
    BalancePage,
    HeldRow,
    LedgerPage,
    ReceiptPage,
    RecordRow,
    RecordsPage,
    StopRow,
)
from web.view_models.overview import HomePage, SearchHit, SetupStep, SiteTile
from web.view_models.parts import Check, Fact, Paging
from web.view_models.problems import ErrorPage
from web.view_models.statements import LineRow, MonthRow, StatementPage, StatementsPage

SETUP = (
    SetupStep("Create an organization", "Umoja Edge", "/onboarding", True),
    SetupStep("Add funds", "Prepaid; $5 is enough to try.", "/billing/add-funds", False),
    SetupStep("Launch a workload", "The smallest costs $0.52 per hour.", "/launch", False),
    SetupStep("Call a model", "Create an API key first.", "/access/api-keys", False),
)
HOME = HomePage(
    NOW_MS,
    "/",
    "Umoja Edge / default",
    ATTENTION,
    FUNDS,
    WORKLOADS[:4],
    active_count=4,
    sites=(SiteTile("nbo-telecom-1", "/sites", "Nairobi, KE", 4, 4, 19, 32),),
    spend=spend(),
    can_launch=True,
)
HOME_EMPTY = HomePage(
    NOW_MS,
    "/",
    "Umoja Edge / default",
    (),
    NO_FUNDS,
    (),
    SETUP,
    can_launch=True,
    smallest_price_micros_per_hour=520_000,
)
WORKLOAD_LIST = WorkloadsPage(
    NOW_MS,
    "/workloads?tab=active",
    "active",
    {"active": 7, "attention": 2, "history": 41},
    WORKLOADS,
    csv_url="/workloads?as=csv",
    can_launch=True,
    paging=Paging("/workloads?after=a_00007"),
)
WORKLOAD = WorkloadPage(
    NOW_MS,
    "/workloads/a_00001",
    True,
    "a_018f6a2e7c9d4b",
    "train-sw-llm",
    "provisioning",
    STEPS,
    False,
    3_700_000,
    1_480_000,
    NOW_MS - 95 * SECOND_MS,
    "amina@umoja.example",
    (
        Fact("Image", "registry.example/pytorch:2.9-cuda12.8", "code"),
        Fact("Memory", 171_798_691_840, "bytes"),
        Fact("Longest run", 7 * DAY_MS, "duration"),
    ),
    GPUS[:2],
    2,
    False,
    ACTIVITY,
    RECEIPTS,
    node_name="nbo-telecom-1-gpu01",
    node_href="/nodes/n_1",
    site="nbo-telecom-1",
    can_release=True,
    releasable=True,
    losses=("Scratch disk: 41 GiB in 2,031 files",),
    held_micros=61_667,
    receipts_url="/billing/ledger",
)
WORKLOAD_FAILED = replace(
    WORKLOAD,
    state="failed",
    changing=False,
    gpus=(),
    receipts=(),
    releasable=False,
    reason="The image registry.example/pytorch:2.9 does not exist, or needs a sign-in.",
    path=(*STEPS[:2], replace(STEPS[2], status="failed", fact="not found")),
    relaunch_href="/launch?from=a_00001",
    charging_stopped_at_ms=NOW_MS,
)
WORKLOAD_SILENT = replace(
    WORKLOAD,
    state="releasing",
    no_contact_since_at_ms=NOW_MS - 19 * MINUTE_MS,
    charging=False,
    charging_stopped_at_ms=NOW_MS - MINUTE_MS,
    release_asked_at_ms=NOW_MS - 60 * SECOND_MS,
)


BALANCE = BalancePage(
    NOW_MS,
    "/billing",
    FUNDS,
    (StopRow("train-sw-llm", "/workloads/a_00001", 3_700_000, NOW_MS + HOUR_MS),),
    ledger_rows(6),
    True,
    spend(),
)
LEDGER = LedgerPage(
    NOW_MS,
    ledger_rows(50),
    (HeldRow("acc-park-3", 12_300_000, NOW_MS - 3 * HOUR_MS, "no contact"),),
    Paging("/billing/ledger?after=50", "/billing/ledger"),
    "/x.csv",
)
RECEIPT = ReceiptPage(
    "cloud.example/log/n_1/0",
    104_230,
    104_231,
    "nbo-telecom-1-gpu01",
    "a_00001",
    "Workload",
    "/workloads/a_00001",
    NOW_MS - MINUTE_MS,
    NOW_MS,
    120_000,
    "gpu.ms",
    "$1.85 per GPU hour",
    61_667,
    True,
    (
        Check("ok", "The record's hash leads to the root of the log."),
        Check("ok", "The node signed that root."),
        Check("ok", "The registry cosigned it."),
    ),
    (Fact("alc", "a_00001", "code"), Fact("cum", 7_200_000, "count"), Fact("m", "gpu.ms", "code")),
    "/billing/receipts/cloud.example/log/n_1/0/104230?as=proof",
)
RECORDS = RecordsPage(
    at_ms=NOW_MS,
    node="nbo-telecom-1-gpu01",
    rows=tuple(
        RecordRow(
            index=at,
            owner="a_00001" if at % 2 else "k_00001",
            owner_kind="Workload" if at % 2 else "API key",
            owner_href="/workloads/a_00001",
            from_at_ms=NOW_MS - MINUTE_MS,
            to_at_ms=NOW_MS,
            quantity=60_000 if at % 2 else 12,
            unit="gpu.ms" if at % 2 else "tok.out",
            micros=30_833,
            href=f"/billing/receipts/cloud.example/log/n_1/0/{at}",
        )
        for at in range(104_000, 104_500)
    ),
    count=4_096,
    micros=4_096 * 30_833,
    charged_micros=4_000 * 30_833,
)
STATEMENTS = StatementsPage(
    (
        MonthRow("2026-11", "/billing/statements/2026-11", NOW_MS, 1_284_200_000, False),
        MonthRow("2026-10", "/billing/statements/2026-10", NOW_MS, 64_100, True),
    )
)
STATEMENT = StatementPage(
    subject="2026-11",
    title="2026-11",
    organization="Umoja Edge",
    begin_at_ms=NOW_MS - 20 * 24 * HOUR_MS,
    end_at_ms=NOW_MS,
    is_final=False,
    rows=tuple(
        LineRow(
            name=f"train-sw-llm-{at:03}",
            href="/workloads/a_00001",
            sku="h200.1x",
            simulated=at % 7 == 0,
            node="nbo-telecom-1-gpu01",
            from_at_ms=NOW_MS - 9 * HOUR_MS,
            to_at_ms=NOW_MS,
            quantity=9 * HOUR_MS,
            unit="gpu.ms",
            price="$2.50 per GPU hour",
            charged_micros=22_500_000,
            unbilled_micros=0,
            first_href="/billing/receipts/cloud.example/log/n_1/0/1",
            last_href="/billing/receipts/cloud.example/log/n_1/0/540",
        )
        for at in range(500)
    ),
    count=512,
    receipts=1_024,
    total_micros=512 * 22_500_000,
    unbilled_micros=1_000_000,
    problem="",
    json_url="/billing/statements/2026-11.json",
    csv_url="/billing/statements/2026-11.focus.csv",
)
NOT_FOUND = ErrorPage(
    404,
    "not_found",
    "This node does not exist, or is not yours to see.",
    "Nothing was changed and nothing was charged.",
    "Check the address, or look for it in the list.",
    "r_018f6a2e",
    (("All nodes", "/nodes"), ("Home", "/")),
)
HITS = (SearchHit("Node", "nbo-telecom-1-gpu01", "nbo-telecom-1", "/nodes/n_1"),)
