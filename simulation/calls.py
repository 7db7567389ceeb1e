"""Models are called at a node: what the gateway keeps of a call, without anybody's text."""

from random import Random

from agent.gateway.metered import ClosedCall, OpenCall, Tally
from agent.gateway.operations import Batch, close_left_open, get_totals, write_batch
from agent.gateway.price_list import PriceList, Tokens
from agent.metering.timekeeper import NodeClock
from agent.store.database import Db
from agent.sync.operations import stored_desired, stored_key_set
from protocol.key_set import ApiKeyFact
from simulation.disk import MemoryStore
from simulation.machine import Machine

MODEL = "sim-model"
TOKENS_IN_MAX = 4_000
TOKENS_OUT_MAX = 2_000


class Calls:
    """The calls of one life of the program; those it leaves open are closed by the next."""

    def __init__(
        self, store: MemoryStore, clock: NodeClock, machine: Machine, chance: Random
    ) -> None:
        self._store = store
        self._clock = clock
        self._machine = machine
        self._chance = chance
        self._count = 0
        self._most: dict[str, Tokens] = {}
        self.refused = 0
        store.run_now(close_left_open, store.run_now(_price_list), now_ms=clock.now_ms())
        self._tally = Tally(store.run_now(get_totals))

    def begin(self) -> OpenCall | None:
        """Begin a call of some key that is honoured here; None if there is none, or no money."""
        keys = self._store.run_now(_keys)
        prices = self._store.run_now(_price_list).find(MODEL, at_ms=self._clock.now_ms())
        if not keys or prices is None or not self._clock.trusted:
            return None
        key = self._chance.choice(keys)
        most = Tokens(self._chance.randrange(TOKENS_IN_MAX), TOKENS_OUT_MAX, 1)
        self._count += 1
        call = OpenCall(
            call_id=f"c_{self._machine.boot_id}_{self._machine.boot_ms()}_{self._count}",
            key_id=key.key_id,
            tenant_id=key.tenant_id,
            project_id=key.project_id,
            model=MODEL,
            endpoint="chat",
            worst=prices.worst(most),
            started_at_ms=self._clock.now_ms(),
        )
        self._most[call.call_id] = most
        refusals = self._write(call)
        self.refused += refusals
        return None if refusals else call

    def end(self, call: OpenCall) -> None:
        """End a call: it came to what its client was given, never more than was set aside."""
        most = self._most.pop(call.call_id)
        used = Tokens(most.tokens_in, self._chance.randint(0, most.tokens_out), 1)
        prices = self._store.run_now(_price_list).find(MODEL, at_ms=self._clock.now_ms())
        micros = self._tally.cost(call.stream, used, prices)
        self._write(
            ClosedCall(
                call_id=call.call_id,
                stream=call.stream,
                tokens=used,
                micros=micros,
                finished_at_ms=self._clock.now_ms(),
                exact=True,
                outcome="answered",
                backend="engine",
            )
        )

    def _write(self, event: OpenCall | ClosedCall) -> int:
        refusals = self._store.run_now(
            write_batch,
            Batch([event]),
            boot_id=self._machine.boot_id,
            boot_ms=self._machine.boot_ms(),
        )
        return len(refusals)


def _keys(db: Db) -> list[ApiKeyFact]:
    found = stored_key_set(db)
    return list(found.keys) if found is not None else []


def _price_list(db: Db) -> PriceList:
    state = stored_desired(db)
    return PriceList(state.prices if state is not None else ())
