"""Nodes and sites in every state."""

from dataclasses import replace

from tests.web.sample_parts import (
    ACTIVITY,
    DAY_MS,
    GPUS,
    HOUR_MS,
    MINUTE_MS,
    NOW_MS,
    SECOND_MS,
    WORKLOADS,
)
from web.view_models.nodes import (
    FindingRow,
    NodeKeyRow,
    NodeKeysPage,
    NodePage,
    NodeRow,
    NodesPage,
    UsageLogHead,
)
from web.view_models.parts import Fact
from web.view_models.sites import SiteRow

SITES = (
    SiteRow(
        "s_1",
        "nbo-telecom-1",
        "Nairobi, KE",
        "Telecom room",
        "Fibre, two paths",
        40,
        21_400,
        4,
        4,
        19,
        32,
        False,
        "/nodes?filter=site:nbo-telecom-1",
    ),
    SiteRow("s_2", "demo", "Anywhere", "Edge room", "One path", 2, None, 1, 1, 1, 2, True),
)


def node_rows(many: int) -> tuple[NodeRow, ...]:
    """Return rows of nodes in every state."""
    states = ("online", "online", "online", "degraded", "offline", "waiting")
    return tuple(
        NodeRow(
            f"n_{n}",
            f"nbo-telecom-{n}-gpu01",
            f"/nodes/n_{n}",
            states[n % 6],
            f"nbo-telecom-{n}",
            "Nairobi, KE",
            n % 9,
            8,
            "H100 80GB",
            n == 1,
            "0.9.2",
            13_420_000 * n,
            50 + n % 40,
            2_500 + n % 700,
            {"waiting": None, "offline": NOW_MS - 3 * HOUR_MS}.get(
                states[n % 6], NOW_MS - n * SECOND_MS
            ),
            NOW_MS - (3 * HOUR_MS if n % 6 == 4 else MINUTE_MS),
            412 if n % 6 == 4 else 0,
        )
        for n in range(many)
    )


NODES = NodesPage(
    NOW_MS,
    "/nodes",
    node_rows(24),
    24,
    20,
    3,
    1,
    78,
    152,
    71_400,
    2,
    NOW_MS - 3 * HOUR_MS,
    1_284_200_000,
    csv_url="/nodes?as=csv",
)
NODES_EMPTY = replace(NODES, rows=(), nodes_total=0)
NODE = NodePage(
    NOW_MS,
    "/nodes/n_1",
    "n_018f6a2e7c9d4b",
    "nbo-telecom-1-gpu01",
    "degraded",
    "nbo-telecom-1",
    "/sites",
    "Nairobi, KE",
    True,
    42,
    NOW_MS - HOUR_MS,
    3,
    41,
    NOW_MS - 4 * SECOND_MS,
    3,
    NOW_MS - 4 * SECOND_MS,
    UsageLogHead(
        "cloud.example/log/n_1/0",
        104_231,
        "q7m0hZyK0gkL3c1vU0xS9yPz8m4=" * 2,
        NOW_MS - MINUTE_MS,
        NOW_MS - MINUTE_MS,
        True,
        0,
    ),
    GPUS,
    (
        FindingRow(
            "gpu_hot",
            "warning",
            "GPU 0 at 91 °C",
            "Check the fans and the filter of the rack.",
            NOW_MS - 42 * MINUTE_MS,
        ),
        FindingRow(
            "registry_silent",
            "critical",
            "No contact for 20 min",
            "Check the uplink.",
            NOW_MS - 20 * MINUTE_MS,
        ),
    ),
    WORKLOADS[:2],
    (
        Fact("Agent", "0.9.2"),
        Fact("Address", "10.11.0.12", "code"),
        Fact("Enrolled", NOW_MS - 9 * DAY_MS, "time"),
    ),
    ACTIVITY,
    120,
    "f_1",
    True,
)
NODE_NEW = replace(
    NODE,
    state="waiting",
    observed_generation=None,
    observed_at_ms=None,
    gpus=(),
    last_contact_at_ms=None,
    log=None,
    findings=(),
    workloads=(),
    skew_ms=None,
    activity=(),
    simulated=False,
)
NODE_KEYS = NodeKeysPage(
    NOW_MS,
    (
        NodeKeyRow(
            "k_1", "nk_7f3a", "nbo-telecom-1-gpu01", "/nodes/n_1", "waiting", "amina", NOW_MS
        ),
        NodeKeyRow(
            "k_2",
            "nk_91bc",
            "cpt-uni-2-gpu01",
            "/nodes/n_2",
            "spent",
            "amina",
            NOW_MS - DAY_MS,
            NOW_MS - HOUR_MS,
            "196.201.2.9",
        ),
    ),
)
