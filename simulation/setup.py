"""What a seed decides before anything happens: constants, faults, and a source of chance each."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from protocol.clock import HOUR_MS, MINUTE_MS, SECOND_MS
from protocol.money import MICROS_PER_UNIT
from registry.leases.terms import Terms, Trust

FAULTS = (
    "loss",
    "duplication",
    "delay",
    "partition",
    "crash",
    "reboot",
    "sleep",
    "drift",
    "steps",
    "overspend",
    "suspend",
    "chargeback",
    "outage",
    "lagging",
    "engine",
)
"""What can go wrong, by name:

loss         a request or an answer does not arrive
duplication  a request arrives twice
delay        a message takes minutes, so that later ones overtake it
partition    a node and the registry do not hear each other, or only one of them hears
crash        the agent ends at any statement, before or after it is kept; containers go on
reboot       the whole machine starts anew
sleep        the machine is suspended and goes on later
drift        a machine's oscillator is slow or fast
steps        somebody sets a machine's clock
overspend    some nodes lie: they sell more than they hold, or write what is not so
suspend      tenants are suspended and let go on
chargeback   money that was paid in is taken back
outage       the registry is away, or ends amid a call
lagging      a registry's worker reads what a node should run from an older state
engine       the container engine does not answer
"""

NODES_MAX = 32
HOURS_MAX = 24 * 14


@dataclass(frozen=True, slots=True)
class Setup:
    """The constants of one run, all in milliseconds where not said otherwise.

    terms            what each trust gives in this run
    tick, look, sync how often a node meters, looks at its containers, and calls
    message          the longest time a message takes while nothing delays it
    gap, length      mean time between two faults of a kind at one node, and the longest of one
    signed           whether messages carry their real signatures (slower, and the same otherwise)
    liars            how many of the nodes lie
    """

    seed: int
    nodes: int
    tenants: int
    hours: int
    faults: frozenset[str]
    terms: Mapping[Trust, Terms]
    tick_ms: int
    look_ms: int
    sync_ms: int
    message_ms: int
    loss_per_mille: int
    gap_ms: int
    length_ms: int
    act_ms: int
    call_ms: int
    signed: bool
    liars: int
    cards: int
    absence_ms: int

    def chance(self, name: str) -> random.Random:
        """Return a source of chance of its own, so that one more draw here moves nothing there."""
        return random.Random(f"{self.seed}/{name}")

    def has(self, fault: str) -> bool:
        """Whether the fault happens in this run."""
        return fault in self.faults


def setup(seed: int, *, nodes: int, hours: int, faults: frozenset[str]) -> Setup:
    """Return what a seed decides.  Constants differ from seed to seed, since a wrong rule may show
    under some of them only."""
    assert 1 <= nodes <= NODES_MAX
    assert 1 <= hours <= HOURS_MAX
    assert faults <= set(FAULTS)
    chance = random.Random(f"{seed}/setup")
    tick_ms = chance.choice([3 * MINUTE_MS, 5 * MINUTE_MS, 8 * MINUTE_MS])
    sync_ms = chance.choice([6 * MINUTE_MS, 9 * MINUTE_MS, 13 * MINUTE_MS])
    life_ms = chance.choice([25 * MINUTE_MS, 40 * MINUTE_MS, HOUR_MS])
    absence_ms = chance.choice([HOUR_MS, 2 * HOUR_MS])
    length_ms = chance.choice([10 * MINUTE_MS, 25 * MINUTE_MS, 50 * MINUTE_MS])
    liars = chance.randint(1, max(1, nodes // 2)) if nodes > 1 else 0
    return Setup(
        seed=seed,
        nodes=nodes,
        tenants=chance.randint(2, 4),
        hours=hours,
        faults=faults,
        terms={
            "unproven": Terms(life_ms, 2 * life_ms, MICROS_PER_UNIT, absence_ms),
            "standard": Terms(2 * life_ms, 4 * life_ms, 5 * MICROS_PER_UNIT, absence_ms),
            "contracted": Terms(4 * life_ms, 4 * life_ms, 50 * MICROS_PER_UNIT, absence_ms),
        },
        tick_ms=tick_ms,
        look_ms=chance.choice([tick_ms, 3 * MINUTE_MS]),
        sync_ms=sync_ms,
        message_ms=chance.choice([50, 500, 5 * SECOND_MS]),
        loss_per_mille=chance.choice([20, 100, 300]),
        gap_ms=chance.choice([HOUR_MS, 2 * HOUR_MS, 4 * HOUR_MS]),
        length_ms=length_ms,
        act_ms=chance.choice([10 * MINUTE_MS, 20 * MINUTE_MS, 40 * MINUTE_MS]),
        call_ms=chance.choice([8 * MINUTE_MS, 15 * MINUTE_MS]),
        signed=chance.random() < 0.15,
        liars=liars if "overspend" in faults else 0,
        cards=chance.choice([1, 2, 4]),
        absence_ms=absence_ms,
    )
