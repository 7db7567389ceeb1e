"""Every page of the registry, filled, empty, refused and hostile: name, template, view model."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.web.sample_forms import FORM_SCENES
from tests.web.sample_parts import (
    ACTIVITY,
    ATTENTION,
    BANNERS,
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
    shell,
    spend,
    workload,
)
from web.view_models.allocations import WorkloadPage, WorkloadsPage
from web.view_models.billing import BalancePage, HeldRow, LedgerPage, ReceiptPage, StopRow
from web.view_models.nodes import (
    FindingRow,
    NodeKeyRow,
    NodeKeysPage,
    NodePage,
    NodeRow,
    NodesPage,
    UsageLogHead,
)
from web.view_models.overview import HomePage, SearchHit, SearchPage, SetupStep, SiteTile
from web.view_models.parts import Check, Fact, Paging
from web.view_models.problems import ErrorPage
from web.view_models.shell import Shell
from web.view_models.sites import SiteRow, SitesPage

HOSTILE = "<script>alert(1)</script>\u202eevil\u202c\"'><img src=x onerror=alert(2)> " + "W" * 160


@dataclass(frozen=True)
class Scene:
    """A page as it is served: `shell` is None for somebody who is not signed in."""

    template: str
    page: object
    shell: Shell | None = None


SETUP = (
    SetupStep("Create an organization", "Umoja Edge", "/onboarding", True),
    SetupStep("Add funds", "Prepaid; $5 is enough to try.", "/billing/add-funds", False),
    SetupStep("Launch a workload", "The smallest costs $0.52 per hour.", "/launch", False),
    SetupStep("Call a model", "Create an API key first.", "/access/api-keys", False),
)
SITES = (
    SiteRow("s_1", "nbo-telecom-1", "Nairobi, KE", "Telecom room", "Fibre, two paths", 40, 21_400,
            4, 4, 19, 32, False, "/nodes?filter=site:nbo-telecom-1"),
    SiteRow("s_2", "demo", "Anywhere", "Edge room", "One path", 2, None, 1, 1, 1, 2, True),
)  # fmt: skip
HOME = HomePage(NOW_MS, "/", "Umoja Edge / default", ATTENTION, FUNDS, WORKLOADS[:4],
                sites=(SiteTile("nbo-telecom-1", "/sites", "Nairobi, KE", 4, 4, 19, 32),),
                spend=spend(), can_launch=True)  # fmt: skip
HOME_EMPTY = HomePage(NOW_MS, "/", "Umoja Edge / default", (), NO_FUNDS, (), SETUP,
                      can_launch=True, smallest_price_micros_per_hour=520_000)  # fmt: skip
WORKLOAD_LIST = WorkloadsPage(NOW_MS, "/workloads?tab=active", "active",
                              {"active": 7, "attention": 2, "history": 41}, WORKLOADS,
                              csv_url="/workloads?as=csv", can_launch=True,
                              paging=Paging("/workloads?after=a_00007"))  # fmt: skip
WORKLOAD = WorkloadPage(
    NOW_MS, "/workloads/a_00001", True, "a_018f6a2e7c9d4b", "train-sw-llm", "provisioning", STEPS,
    False, 3_700_000, 1_480_000, NOW_MS - 95 * SECOND_MS, "amina@umoja.example",
    (Fact("Image", "registry.example/pytorch:2.9-cuda12.8", "code"), Fact("Memory", 171_798_691_840,
     "bytes"), Fact("Longest run", 7 * DAY_MS, "duration")), GPUS[:2], ACTIVITY, RECEIPTS,
    node_name="nbo-telecom-1-gpu01", node_href="/nodes/n_1", site="nbo-telecom-1",
    can_release=True, releasable=True, losses=("Scratch disk: 41 GiB in 2,031 files",),
    held_micros=61_667, receipts_url="/billing/ledger",
)  # fmt: skip
WORKLOAD_FAILED = replace(
    WORKLOAD, state="failed", changing=False, gpus=(), receipts=(), releasable=False,
    reason="The image registry.example/pytorch:2.9 does not exist, or needs a sign-in.",
    path=(*STEPS[:2], replace(STEPS[2], status="failed", fact="not found")),
    relaunch_href="/launch?from=a_00001", charging_stopped_at_ms=NOW_MS,
)  # fmt: skip
WORKLOAD_SILENT = replace(
    WORKLOAD, state="releasing", no_contact_since_at_ms=NOW_MS - 19 * MINUTE_MS, charging=False,
    charging_stopped_at_ms=NOW_MS - MINUTE_MS, asked="to release at 15:37:07.",
)  # fmt: skip


def node_rows(many: int) -> tuple[NodeRow, ...]:
    """Return rows of nodes in every state."""
    states = ("online", "online", "online", "degraded", "offline", "waiting")
    return tuple(
        NodeRow(f"n_{n}", f"nbo-telecom-{n}-gpu01", f"/nodes/n_{n}", states[n % 6],
                f"nbo-telecom-{n}", "Nairobi, KE", n % 9, 8, "H100 80GB", n == 1, "0.9.2",
                13_420_000 * n, 50 + n % 40, 2_500 + n % 700,
                {"waiting": None, "offline": NOW_MS - 3 * HOUR_MS}.get(
                    states[n % 6], NOW_MS - n * SECOND_MS),
                NOW_MS - (3 * HOUR_MS if n % 6 == 4 else MINUTE_MS), 412 if n % 6 == 4 else 0)
        for n in range(many)
    )  # fmt: skip


NODES = NodesPage(NOW_MS, "/nodes", node_rows(24), 24, 20, 3, 1, 78, 152, 71_400, 2,
                  NOW_MS - 3 * HOUR_MS, 1_284_200_000, csv_url="/nodes?as=csv")  # fmt: skip
NODES_EMPTY = replace(NODES, rows=(), nodes_total=0)
NODE = NodePage(
    NOW_MS, "/nodes/n_1", "n_018f6a2e7c9d4b", "nbo-telecom-1-gpu01", "degraded", "nbo-telecom-1",
    "/sites", "Nairobi, KE", True, 42, NOW_MS - HOUR_MS, 3, 41, NOW_MS - 4 * SECOND_MS, 3,
    NOW_MS - 4 * SECOND_MS,
    UsageLogHead("cloud.example/log/n_1/0", 104_231, "q7m0hZyK0gkL3c1vU0xS9yPz8m4=" * 2,
                 NOW_MS - MINUTE_MS, NOW_MS - MINUTE_MS, True, 0),
    GPUS,
    (FindingRow("gpu_hot", "warning", "GPU 0 at 91 °C", "Check the fans and the filter of the rack.",
                NOW_MS - 42 * MINUTE_MS),
     FindingRow("registry_silent", "critical", "No contact for 20 min", "Check the uplink.",
                NOW_MS - 20 * MINUTE_MS)),
    WORKLOADS[:2],
    (Fact("Agent", "0.9.2"), Fact("Address", "10.11.0.12", "code"), Fact("Enrolled",
     NOW_MS - 9 * DAY_MS, "time")),
    ACTIVITY, 120, "f_1", True,
)  # fmt: skip
NODE_NEW = replace(NODE, state="waiting", observed_generation=None, observed_at_ms=None, gpus=(),
                   last_contact_at_ms=None, log=None, findings=(), workloads=(), skew_ms=None,
                   activity=(), simulated=False)  # fmt: skip
NODE_KEYS = NodeKeysPage(
    NOW_MS,
    (NodeKeyRow("k_1", "nk_7f3a", "nbo-telecom-1-gpu01", "/nodes/n_1", "waiting", "amina", NOW_MS),
     NodeKeyRow("k_2", "nk_91bc", "cpt-uni-2-gpu01", "/nodes/n_2", "spent", "amina",
                NOW_MS - DAY_MS, NOW_MS - HOUR_MS, "196.201.2.9")),
)  # fmt: skip
BALANCE = BalancePage(NOW_MS, "/billing", FUNDS,
                      (StopRow("train-sw-llm", "/workloads/a_00001", 3_700_000, NOW_MS + HOUR_MS),),
                      ledger_rows(6), True, spend())  # fmt: skip
LEDGER = LedgerPage(NOW_MS, ledger_rows(50),
                    (HeldRow("acc-park-3", 12_300_000, NOW_MS - 3 * HOUR_MS, "no contact"),),
                    Paging("/billing/ledger?after=50", "/billing/ledger"), "/x.csv")  # fmt: skip
RECEIPT = ReceiptPage(
    "cloud.example/log/n_1/0", 104_230, 104_231, "nbo-telecom-1-gpu01", "train-sw-llm",
    "/workloads/a_00001", NOW_MS - MINUTE_MS, NOW_MS, 120_000, "gpu.ms", "$1.85 per GPU hour",
    61_667, True,
    (Check("ok", "The record's hash leads to the root of the log."),
     Check("ok", "The node signed that root."), Check("ok", "The registry cosigned it.")),
    (Fact("alc", "a_00001", "code"), Fact("cum", 7_200_000, "count"), Fact("m", "gpu.ms", "code")),
    "/billing/receipts/cloud.example/log/n_1/0/104230?as=proof",
)  # fmt: skip
NOT_FOUND = ErrorPage(404, "not_found", "This node does not exist, or is not yours to see.",
                      "Nothing was changed and nothing was charged.",
                      "Check the address, or look for it in the list.", "r_018f6a2e",
                      (("All nodes", "/nodes"), ("Home", "/")))  # fmt: skip
HITS = (SearchHit("Node", "nbo-telecom-1-gpu01", "nbo-telecom-1", "/nodes/n_1"),)


def scenes() -> dict[str, Scene]:
    """Return every page in every sample state by name."""
    return {**dict(_pages()), **{name: Scene(*scene) for name, scene in FORM_SCENES.items()}}


def _pages() -> Iterator[tuple[str, Scene]]:
    allocations, nodes, billing = (f"registry/{room}" for room in ("allocations", "nodes", "billing"))
    hostile = replace(workload(8, HOSTILE, "active"), owner=HOSTILE, site=HOSTILE)
    yield "home", Scene("registry/overview/home.html", HOME, shell("/"))
    yield "home-empty", Scene("registry/overview/home.html", HOME_EMPTY, shell("/", operator=False))
    yield "home-banners", Scene("registry/overview/home.html", HOME, shell("/", banners=BANNERS))
    yield "search", Scene("registry/overview/search.html", SearchPage("nbo", HITS), shell("/"))
    yield "search-none", Scene("registry/overview/search.html", SearchPage(HOSTILE, ()), shell("/"))
    work = shell("/workloads")
    yield "workloads", Scene(f"{allocations}/list.html", WORKLOAD_LIST, work)
    for tab in ("active", "attention", "history"):
        empty = replace(WORKLOAD_LIST, tab=tab, rows=(), paging=Paging())
        yield f"workloads-empty-{tab}", Scene(f"{allocations}/list.html", empty, work)
    no_match = replace(WORKLOAD_LIST, rows=(), filter="state:gone")
    yield "workloads-no-match", Scene(f"{allocations}/list.html", no_match, work)
    evil = replace(WORKLOAD_LIST, rows=(hostile,), filter=HOSTILE)
    yield "workloads-hostile", Scene(f"{allocations}/list.html", evil, work)
    yield "workload", Scene(f"{allocations}/show.html", WORKLOAD, work)
    yield "workload-failed", Scene(f"{allocations}/show.html", WORKLOAD_FAILED, work)
    yield "workload-silent", Scene(f"{allocations}/show.html", WORKLOAD_SILENT, work)
    evil_page = replace(WORKLOAD, name=HOSTILE, reason=HOSTILE, losses=(HOSTILE,), site=HOSTILE,
                        facts=(Fact(HOSTILE, HOSTILE),))  # fmt: skip
    yield "workload-hostile", Scene(f"{allocations}/show.html", evil_page, work)
    yield "nodes", Scene(f"{nodes}/list.html", NODES, shell("/nodes"))
    yield "nodes-empty", Scene(f"{nodes}/list.html", NODES_EMPTY, shell("/nodes"))
    yield "node", Scene(f"{nodes}/show.html", NODE, shell("/nodes/n_1"))
    yield "node-new", Scene(f"{nodes}/show.html", NODE_NEW, shell("/nodes/n_1"))
    yield "node-keys", Scene(f"{nodes}/keys.html", NODE_KEYS, shell("/nodes/keys"))
    no_keys = NodeKeysPage(NOW_MS, ())
    yield "node-keys-empty", Scene(f"{nodes}/keys.html", no_keys, shell("/nodes/keys"))
    sites = SitesPage(NOW_MS, SITES, True)
    yield "sites", Scene("registry/sites/list.html", sites, shell("/sites"))
    no_sites = SitesPage(NOW_MS, (), True)
    yield "sites-empty", Scene("registry/sites/list.html", no_sites, shell("/sites"))
    yield "billing", Scene(f"{billing}/balance.html", BALANCE, shell("/billing"))
    poor = replace(BALANCE, funds=NO_FUNDS, stops=(), recent=(), spend=None, can_pay=False,
                   pay_owner="Amina (owner)")  # fmt: skip
    yield "billing-empty", Scene(f"{billing}/balance.html", poor, shell("/billing", operator=False))
    yield "ledger", Scene(f"{billing}/ledger.html", LEDGER, shell("/billing/ledger"))
    no_ledger = LedgerPage(NOW_MS, ())
    yield "ledger-empty", Scene(f"{billing}/ledger.html", no_ledger, shell("/billing/ledger"))
    yield "receipt", Scene(f"{billing}/receipt.html", RECEIPT, shell("/billing/ledger"))
    doubtful = replace(RECEIPT, verified=False, checks=(Check("bad", "The root differs."),))
    yield "receipt-refused", Scene(f"{billing}/receipt.html", doubtful, shell("/billing/ledger"))
    yield "error", Scene("shared/error.html", NOT_FOUND, shell("/nodes/n_9"))
    yield "error-signed-out", Scene("shared/error.html", NOT_FOUND)
