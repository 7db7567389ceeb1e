"""What the node tells monitoring, and under which names.

GPUs have the names and units of NVIDIA's DCGM exporter, so that its dashboards work unchanged; what
needs DCGM itself (DCGM_FI_PROF_*) is left out, not imitated.  Ours begin with `outstation_`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agent.accelerators.accelerator import Accelerator, Sample
from agent.gateway.backends import Standing
from agent.gateway.metered import Figures
from agent.metrics.exposition import Family, Point, family
from protocol.health import Finding


@dataclass(frozen=True, slots=True)
class Scrape:
    """The node at one moment.

    holders           the allocation that holds a GPU, by its UUID
    since_contact_ms  since the registry last answered; None while it never did
    failures_in_row   of each background work, by its name
    """

    hostname: str
    version: str
    accelerators: Sequence[Accelerator] = ()
    samples: Sequence[Sample] = ()
    holders: Mapping[str, str] = field(default_factory=dict)
    gateway: Figures = field(default_factory=Figures)
    calls_under_way: int = 0
    backends: Sequence[Standing] = ()
    findings: Sequence[Finding] = ()
    since_contact_ms: int | None = None
    log_entries: int | None = None
    failures_in_row: Mapping[str, int] = field(default_factory=dict)


def families(scrape: Scrape) -> Iterator[Family]:
    """Yield everything that is told."""
    yield family("outstation_info", "gauge", "Version.", [(1, {"version": scrape.version})])
    yield from gpu_families(scrape)
    yield from gateway_families(scrape)
    severities = Counter(finding.severity for finding in scrape.findings)
    yield family(
        "outstation_findings",
        "gauge",
        "Findings that are open.",
        [(severities[level], {"severity": level}) for level in ("info", "warning", "critical")],
    )
    if scrape.since_contact_ms is not None:
        yield Family(
            "outstation_seconds_since_contact",
            "gauge",
            "Since the registry last answered.",
            (Point(scrape.since_contact_ms, {}),),
        )
    yield family(
        "outstation_usage_log_entries",
        "counter",
        "Entries of the usage log.",
        [(scrape.log_entries, {})],
    )
    yield family(
        "outstation_work_failures_in_row",
        "gauge",
        "Failures in a row of a background work.",
        [(count, {"work": work}) for work, count in sorted(scrape.failures_in_row.items())],
    )


def gpu_families(scrape: Scrape) -> Iterator[Family]:
    """Yield the GPUs under DCGM exporter's names."""
    samples = {sample.uuid: sample for sample in scrape.samples if sample.loss is None}
    known = [(card, samples.get(card.uuid)) for card in scrape.accelerators]
    seen = [(_labels(card, scrape), card, sample) for card, sample in known if sample is not None]
    whole: dict[str, tuple[str, str, Iterable[int | None]]] = {
        "GPU_UTIL": ("gauge", "%", [s.utilization_percent for _, _, s in seen]),
        "GPU_TEMP": ("gauge", "C", [s.temperature_c for _, _, s in seen]),
        "FB_USED": ("gauge", "MiB", [s.memory_used_mib for _, _, s in seen]),
        "FB_FREE": ("gauge", "MiB", [_free_mib(card, s) for _, card, s in seen]),
        "TOTAL_ENERGY_CONSUMPTION": ("counter", "mJ", [s.energy_mj for _, _, s in seen]),
        "XID_ERRORS": ("gauge", "last XID", [s.xid for _, _, s in seen]),
        "ECC_DBE_VOL_TOTAL": ("counter", "errors", [s.ecc_uncorrected for _, _, s in seen]),
    }
    for name, (kind, unit, values) in whole.items():
        yield family(
            f"DCGM_FI_DEV_{name}",
            "counter" if kind == "counter" else "gauge",
            f"In {unit}, as DCGM exporter tells it.",
            zip(values, [labels for labels, _, _ in seen], strict=True),
        )
    yield Family(
        "DCGM_FI_DEV_POWER_USAGE",
        "gauge",
        "In W, as DCGM exporter tells it.",
        tuple(Point(s.power_mw, labels) for labels, _, s in seen if s.power_mw is not None),
    )
    yield family(
        "outstation_gpu_lost",
        "gauge",
        "1 for a GPU that does not answer.",
        [(int(card.uuid not in samples), _named(card)) for card in scrape.accelerators],
    )


def gateway_families(scrape: Scrape) -> Iterator[Family]:
    """Yield what the gateway did since the agent started."""
    figures = scrape.gateway
    yield family(
        "outstation_gateway_calls_total",
        "counter",
        "Calls that are over.",
        [
            (count, {"model": model, "outcome": outcome})
            for (model, outcome), count in sorted(figures.calls.items())
        ],
    )
    for name, tokens in (("in", figures.tokens_in), ("out", figures.tokens_out)):
        yield family(
            f"outstation_gateway_tokens_{name}_total",
            "counter",
            f"Tokens {name} of calls that are over.",
            [(count, {"model": model}) for model, count in sorted(tokens.items())],
        )
    yield family(
        "outstation_gateway_calls_under_way",
        "gauge",
        "Calls under way.",
        [(scrape.calls_under_way, {})],
    )
    yield family(
        "outstation_gateway_backend_ready",
        "gauge",
        "1 for a backend that answers its probe.",
        [(int(standing.ready), {"backend": standing.backend.name}) for standing in scrape.backends],
    )


def _labels(card: Accelerator, scrape: Scrape) -> dict[str, str]:
    labels = {
        "gpu": str(card.index),
        "UUID": card.uuid,
        "device": f"nvidia{card.index if card.minor_number is None else card.minor_number}",
        "modelName": card.model,
        "Hostname": scrape.hostname,
        "allocation": scrape.holders.get(card.uuid, ""),
    }
    return labels | _simulated(card)


def _named(card: Accelerator) -> dict[str, str]:
    return {"UUID": card.uuid} | _simulated(card)


def _simulated(card: Accelerator) -> dict[str, str]:
    """A simulated card is labelled so wherever it is told of."""
    return {"simulated": "true"} if card.simulated else {}


def _free_mib(card: Accelerator, sample: Sample) -> int | None:
    if card.memory_mib is None or sample.memory_used_mib is None:
        return None
    return card.memory_mib - sample.memory_used_mib
