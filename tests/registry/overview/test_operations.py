"""Figures of nodes and sites that pages of earlier rooms show."""

from protocol.health import Finding
from protocol.observed import AcceleratorFact
from registry.incidents.operations import open_finding
from registry.nodes.enrolment import NodeFacts
from registry.nodes.operations import add_node
from registry.nodes.queries import get_node, keep_accelerators, note_facts
from registry.overview.operations import allocations_on, node_figures, site_figures
from registry.sites.operations import add_site
from registry.sites.site import SiteFacts, SiteFigures
from registry.store.database import Db
from registry.tenants.operations import add_organization
from registry.tenants.roles import console
from tests.registry.rig import Rig

GPUS = tuple(
    AcceleratorFact(
        f"GPU-{at}",
        "NVIDIA H100 80GB",
        81_559,
        simulated=True,
        healthy=True,
        held_by="a_1" if at == 0 else None,
        power_mw=300_900,
    )
    for at in range(2)
)


def test_a_site_adds_up_what_its_nodes_say(rig: Rig) -> None:
    with rig.database.unit() as db:
        node_id = _node(rig, db)
        keep_accelerators(db, node_id, GPUS, now_ms=rig.clock())
        note_facts(db, node_id, {"last_contact_at_ms": rig.clock(), "simulated": 1})

        figures = site_figures(db, rig.clock())

        site_id = get_node(db, node_id).site_id
    assert figures[site_id] == SiteFigures(
        nodes_online=1,
        nodes_total=1,
        gpus_used=1,
        gpus_total=2,
        power_now_w=601,
        simulated=True,
    )


def test_a_node_that_was_never_heard_of_has_no_figures_but_its_findings(rig: Rig) -> None:
    finding = Finding("log_refused", "critical", "", rig.clock(), "Refused.", "Look at it.")
    with rig.database.unit() as db:
        node_id = _node(rig, db)
        open_finding(db, node_id, finding, now_ms=rig.clock())
        node = get_node(db, node_id)

        figures = node_figures(db, [node], rig.clock())[node_id]

        assert allocations_on(db, node, None) == []
    assert (figures.today_micros, figures.log, figures.verified_to_ms) == (0, None, None)
    assert [row.code for row in figures.findings] == ["log_refused"]


def _node(rig: Rig, db: Db) -> str:
    project, _ = add_organization(
        db, "Umoja", "ana@umoja.example", intent="host", caller=rig.caller()
    )
    site = add_site(
        db,
        SiteFacts("nbo-1", "Nairobi", "KE", "telecom_room", "fibre", 20),
        tenant_id=project.tenant_id,
        actor=console(),
        now_ms=rig.clock(),
        new_id=rig.new_id,
    )
    return add_node(
        db,
        NodeFacts("gpu01", "", "NVIDIA H100 80GB", 2, 1400, 4),
        site_id=site.site_id,
        actor=console(),
        now_ms=rig.clock(),
        new_id=rig.new_id,
    )
