"""What the node sees of itself at one moment, in the shape each room asks for it."""

import logging
import platform
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from agent.accelerators.accelerator import (
    Accelerator,
    AcceleratorSource,
    DriverMismatch,
    DriverMissing,
    Sample,
    lost_uuids,
)
from agent.accelerators.queries import list_claims
from agent.allocations.operations import Inventory
from agent.allocations.queries import (
    EGRESS,
    ENGINE,
    find_engine_fault,
    list_observed,
    list_runs,
)
from agent.gateway.backends import Backends
from agent.gateway.metered import Figures
from agent.health.facts import Facts, HostReading, accelerator_readings
from agent.health.queries import list_findings
from agent.metering.timekeeper import NodeClock
from agent.metrics.figures import Scrape
from agent.store.database import Db
from agent.store.thread import Store
from agent.sync.exchange import Observed
from agent.sync.queries import Contact, find_contact
from agent.usage_log.operations import find_log_fault
from agent.usage_log.queries import find_log
from protocol import __version__
from protocol.clock import SECOND_MS
from protocol.health import Finding
from protocol.observed import AcceleratorFact, HostFacts, ObservedAllocation
from protocol.refusal import Fault

log = logging.getLogger(__name__)

SAMPLE_AGE_MS_MAX = SECOND_MS
"""A reading of the cards younger than this is used again."""


@dataclass(frozen=True, slots=True)
class Cards:
    """The GPUs as last read, by boottime; why there are none, where there should be some."""

    read_boot_ms: int
    accelerators: tuple[Accelerator, ...] = ()
    samples: tuple[Sample, ...] = ()
    fault: str | None = None
    remedy: str | None = None


@dataclass(slots=True)
class Observer:
    """Asks the drivers and the store; holds nothing but the last reading of the cards.

    failures  failures in a row of each background work, by its name
    hold      tells simulated cards which of them are busy
    unwritten why usage cannot be written down, or None
    """

    store: Store
    source: AcceleratorSource | None
    read_host: Callable[[], HostReading]
    clock: NodeClock
    backends: Backends
    figures: Figures
    gateway_url: str
    engine: str
    demo: bool
    boot_id: str
    failures: Callable[[], dict[str, int]] = field(default=dict)
    hold: Callable[[Collection[str]], None] = lambda _uuids: None
    unwritten: Callable[[], str | None] = lambda: None
    cards: Cards | None = None

    async def read_cards(self) -> Cards:
        """Return the GPUs, read at most once a second."""
        boot_ms = self.clock.boot_ms()
        if self.cards is not None and boot_ms - self.cards.read_boot_ms < SAMPLE_AGE_MS_MAX:
            return self.cards
        self.cards = await self._read(boot_ms)
        return self.cards

    async def inventory(self) -> Inventory:
        """Return what may be handed out."""
        cards = await self.read_cards()
        return Inventory(
            accelerators=cards.accelerators, lost=lost_uuids(cards.samples), demo=self.demo
        )

    async def observed(self) -> Observed:
        """Return what the registry is told."""
        cards = await self.read_cards()
        kept = await self.store.run(_kept)
        reading = self.read_host()
        return Observed(
            gateway_url=self.gateway_url,
            host=host_facts(reading, engine=self.engine),
            accelerators=accelerator_facts(cards.accelerators, cards.samples, kept.claims),
            allocations=tuple(kept.allocations),
            models=self.backends.served_models(),
            findings=tuple(kept.findings),
        )

    async def facts(self) -> Facts:
        """Return what the checks look at."""
        cards = await self.read_cards()
        kept = await self.store.run(_kept)
        contact, boot_ms = kept.contact, self.clock.boot_ms()
        heard_ms = contact.last_answer_boot_ms if contact.boot_id == self.boot_id else None
        return Facts(
            at_ms=self.clock.now_ms(),
            host=self.read_host(),
            accelerators=accelerator_readings(cards.accelerators, cards.samples, kept.claims),
            driver_fault=cards.fault,
            driver_remedy=cards.remedy,
            docker_fault=kept.engine_fault,
            clock_skew_ms=contact.skew_ms,
            registry_silent_ms=None if heard_ms is None else boot_ms - heard_ms,
            log_fault=kept.log_fault,
            egress_fault=kept.egress_fault,
            networked_containers=kept.networked,
            usage_fault=self.unwritten(),
        )

    async def scrape(self) -> Scrape:
        """Return what monitoring reads."""
        cards = await self.read_cards()
        kept = await self.store.run(_kept)
        heard_ms = kept.contact.last_answer_boot_ms
        known = heard_ms is not None and kept.contact.boot_id == self.boot_id
        return Scrape(
            hostname=platform.node(),
            version=__version__,
            accelerators=cards.accelerators,
            samples=cards.samples,
            holders=kept.claims,
            gateway=self.figures,
            backends=self.backends.standings(),
            findings=kept.findings,
            since_contact_ms=self.clock.boot_ms() - heard_ms if known and heard_ms else None,
            log_entries=kept.log_entries,
            failures_in_row=self.failures(),
        )

    async def _read(self, boot_ms: int) -> Cards:
        if self.source is None:
            return Cards(boot_ms)
        self.hold((await self.store.run(list_claims)).keys())
        try:
            return Cards(
                read_boot_ms=boot_ms,
                accelerators=await self.source.list_accelerators(),
                samples=await self.source.read_samples(self.clock.now_ms()),
            )
        except (DriverMissing, DriverMismatch) as fault:
            return Cards(boot_ms, fault=str(fault), remedy=fault.remedy)
        except Fault as fault:
            log.warning("GPUs cannot be read", extra={"why": str(fault)})
            return Cards(boot_ms, fault=str(fault))


def host_facts(reading: HostReading, *, engine: str) -> HostFacts:
    """Return the machine as the registry is told of it."""
    return HostFacts(
        hostname=platform.node()[:256],
        cpu_count=reading.cpu_count,
        memory_mib=reading.memory_total_mib,
        disk_free_mib=reading.disk_free_mib,
        engine=engine[:256],
        kernel=platform.release()[:256],
    )


def accelerator_facts(
    cards: Sequence[Accelerator], samples: Sequence[Sample], claims: dict[str, str]
) -> tuple[AcceleratorFact, ...]:
    """Return the GPUs as the registry is told of them."""
    sample_of = {sample.uuid: sample for sample in samples}
    return tuple(_fact(card, sample_of.get(card.uuid), claims) for card in cards)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the store holds that several rooms are told."""

    claims: dict[str, str]
    allocations: list[ObservedAllocation]
    findings: list[Finding]
    contact: Contact
    engine_fault: str | None
    egress_fault: str | None
    networked: int
    log_fault: str | None
    log_entries: int | None


def _kept(db: Db) -> _Kept:
    usage_log = find_log(db)
    return _Kept(
        claims={uuid: str(holder) for uuid, holder in list_claims(db).items()},
        allocations=list_observed(db),
        findings=list_findings(db),
        contact=find_contact(db),
        engine_fault=find_engine_fault(db, ENGINE),
        egress_fault=find_engine_fault(db, EGRESS),
        networked=sum(bool(run.address) for run in list_runs(db)),
        log_fault=find_log_fault(db),
        log_entries=usage_log.frontier.size if usage_log is not None else None,
    )


def _fact(card: Accelerator, sample: Sample | None, claims: dict[str, str]) -> AcceleratorFact:
    return AcceleratorFact(
        uuid=card.uuid,
        model=card.model,
        memory_mib=card.memory_mib,
        simulated=card.simulated,
        healthy=sample is not None and sample.loss is None,
        held_by=claims.get(card.uuid),
        utilization_percent=sample.utilization_percent if sample else None,
        memory_used_mib=sample.memory_used_mib if sample else None,
        temperature_c=sample.temperature_c if sample else None,
        power_mw=sample.power_mw if sample else None,
    )
