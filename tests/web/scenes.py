"""Every page of the registry as it is served: filled, empty, refused and with hostile text."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.web import sample_nodes as nodes
from tests.web import sample_pages as pages
from tests.web.sample_forms import FORM_SCENES
from tests.web.sample_parts import BANNERS, NO_FUNDS, NOW_MS, shell, workload
from tests.web.sample_payments import PAYMENT_SCENES
from tests.web.sample_payouts import PAYOUT_SCENES
from web.view_models.billing import LedgerPage
from web.view_models.nodes import NodeKeysPage
from web.view_models.overview import SearchPage
from web.view_models.parts import Check, Fact, Paging
from web.view_models.shell import Shell
from web.view_models.sites import SitesPage
from web.view_models.statements import StatementsPage

HOSTILE = "<script>alert(1)</script>\u202eevil\u202c\"'><img src=x onerror=alert(2)> " + "W" * 160


@dataclass(frozen=True)
class Scene:
    """A page as it is served: `shell` is None for somebody who is not signed in."""

    template: str
    page: object
    shell: Shell | None = None


Scenes = Iterator[tuple[str, Scene]]


def scenes() -> dict[str, Scene]:
    """Return every page in every sample state by name."""
    more = FORM_SCENES | PAYMENT_SCENES | PAYOUT_SCENES
    forms = {name: Scene(*scene) for name, scene in more.items()}
    return {**dict(_overview()), **dict(_workloads()), **dict(_nodes()), **dict(_money()), **forms}


def _overview() -> Scenes:
    home, search = "registry/overview/home.html", "registry/overview/search.html"
    yield "home", Scene(home, pages.HOME, shell("/"))
    yield "home-empty", Scene(home, pages.HOME_EMPTY, shell("/", operator=False))
    yield "home-banners", Scene(home, pages.HOME, shell("/", banners=BANNERS))
    yield "search", Scene(search, SearchPage("nbo", pages.HITS), shell("/"))
    yield "search-none", Scene(search, SearchPage(HOSTILE, ()), shell("/"))
    yield "error", Scene("shared/error.html", pages.NOT_FOUND, shell("/nodes/n_9"))
    yield "error-signed-out", Scene("shared/error.html", pages.NOT_FOUND)


def _workloads() -> Scenes:
    listing, single = "registry/allocations/list.html", "registry/allocations/show.html"
    frame = shell("/workloads")
    yield "workloads", Scene(listing, pages.WORKLOAD_LIST, frame)
    none = replace(pages.WORKLOAD_LIST, rows=(), paging=Paging())
    for tab in ("active", "attention", "history"):
        yield f"workloads-empty-{tab}", Scene(listing, replace(none, tab=tab), frame)
    yield "workloads-no-match", Scene(listing, replace(none, filter="state:gone"), frame)
    row = replace(workload(8, HOSTILE, "active"), owner=HOSTILE, site=HOSTILE)
    hostile_list = replace(pages.WORKLOAD_LIST, rows=(row,), filter=HOSTILE)
    yield "workloads-hostile", Scene(listing, hostile_list, frame)
    yield "workload", Scene(single, pages.WORKLOAD, frame)
    yield "workload-failed", Scene(single, pages.WORKLOAD_FAILED, frame)
    yield "workload-silent", Scene(single, pages.WORKLOAD_SILENT, frame)
    hostile = replace(
        pages.WORKLOAD,
        name=HOSTILE,
        reason=HOSTILE,
        losses=(HOSTILE,),
        site=HOSTILE,
        facts=(Fact(HOSTILE, HOSTILE),),
    )
    yield "workload-hostile", Scene(single, hostile, frame)


def _nodes() -> Scenes:
    room = "registry/nodes"
    yield "nodes", Scene(f"{room}/list.html", nodes.NODES, shell("/nodes"))
    yield "nodes-empty", Scene(f"{room}/list.html", nodes.NODES_EMPTY, shell("/nodes"))
    yield "node", Scene(f"{room}/show.html", nodes.NODE, shell("/nodes/n_1"))
    yield "node-new", Scene(f"{room}/show.html", nodes.NODE_NEW, shell("/nodes/n_1"))
    yield "node-keys", Scene(f"{room}/keys.html", nodes.NODE_KEYS, shell("/nodes/keys"))
    no_keys = NodeKeysPage(NOW_MS, ())
    yield "node-keys-empty", Scene(f"{room}/keys.html", no_keys, shell("/nodes/keys"))
    sites = SitesPage(NOW_MS, nodes.SITES, True, is_private=True)
    yield "sites", Scene("registry/sites/list.html", sites, shell("/sites"))
    no_sites = SitesPage(NOW_MS, (), True)
    yield "sites-empty", Scene("registry/sites/list.html", no_sites, shell("/sites"))


def _money() -> Scenes:
    room = "registry/billing"
    yield "billing", Scene(f"{room}/balance.html", pages.BALANCE, shell("/billing"))
    poor = replace(
        pages.BALANCE,
        funds=NO_FUNDS,
        stops=(),
        recent=(),
        spend=None,
        can_pay=False,
        pay_owner="Amina (owner)",
    )
    yield "billing-empty", Scene(f"{room}/balance.html", poor, shell("/billing", operator=False))
    ledger = shell("/billing/ledger")
    yield "ledger", Scene(f"{room}/ledger.html", pages.LEDGER, ledger)
    yield "ledger-empty", Scene(f"{room}/ledger.html", LedgerPage(NOW_MS, ()), ledger)
    statements = shell("/billing/statements")
    yield "statements", Scene(f"{room}/statements.html", pages.STATEMENTS, statements)
    yield "statements-empty", Scene(f"{room}/statements.html", StatementsPage(()), statements)
    yield "statement", Scene(f"{room}/statement.html", pages.STATEMENT, statements)
    broken = replace(pages.STATEMENT, problem="The lines do not sum to the total.", rows=())
    yield "verify", Scene(f"{room}/verify.html", None)
    yield "statement-refused", Scene(f"{room}/statement.html", broken, statements)
    yield "receipt", Scene(f"{room}/receipt.html", pages.RECEIPT, ledger)
    yield "records", Scene(f"{room}/records.html", pages.RECORDS, ledger)
    doubtful = replace(pages.RECEIPT, verified=False, checks=(Check("bad", "The root differs."),))
    yield "receipt-refused", Scene(f"{room}/receipt.html", doubtful, ledger)
