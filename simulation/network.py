"""The way between a node and the registry: it loses, repeats, delays and cuts, but invents nothing.

A request that was signed is either believed as it was sent or not at all, so nothing here changes
what is in a message.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field

from agent.sync.exchange import RefusedByRegistry, RegistrySilent
from protocol.clock import MINUTE_MS, SECOND_MS
from protocol.enrolment import EnrolAnswer, EnrolRequest
from protocol.http_signature import read_signed_answer, signed_request_headers
from protocol.refusal import Fault
from protocol.signing import SigningKey
from protocol.sync import LogPull, LogPulled, SyncAnswer, SyncRequest
from protocol.wire import pack, unpack
from simulation.setup import Setup
from simulation.timeline import Timeline

WAIT_MS_MAX = 60 * SECOND_MS
"""As long as the real client waits for an answer."""

LATE_MS_MAX = 4 * MINUTE_MS
LATE_PER_MILLE = 80
TWICE_PER_MILLE = 80
REGISTRY_URL = "https://registry.example/node/v1/sync"


@dataclass(frozen=True, slots=True)
class Letter:
    """A request on its way.

    created_ms  when it was signed, by the node's idea of the registry's clock
    """

    node_id: str
    nonce: str
    created_ms: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer on its way.  refused: the code of a refusal, with the registry's time"""

    nonce: str
    status: int
    body: bytes
    signed_by: str
    headers: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""
    registry_ms: int | None = None


class Parcel:
    """A call that waits for its answer.  Whoever drives the coroutine takes it from there."""

    def __init__(self, nonce: str) -> None:
        self.nonce = nonce
        self.resume: Callable[[Reply | None], None] | None = None

    def __await__(self) -> Generator["Parcel", Reply | None, Reply | None]:
        return (yield self)


class Link:
    """The line of one node.

    deaf_until_ms  what is sent to the node until then is lost
    mute_until_ms  what it sends is
    calm           nothing is lost, repeated or delayed any more
    """

    def __init__(
        self, node: str, timeline: Timeline, setup: Setup, receive: Callable[[Letter], Reply | None]
    ) -> None:
        self.deaf_until_ms = 0
        self.mute_until_ms = 0
        self.calm = False
        self.answered = 0
        self._timeline = timeline
        self._setup = setup
        self._chance = setup.chance(f"network/{node}")
        self._receive = receive
        self._waiting: Parcel | None = None

    def send(self, letter: Letter, parcel: Parcel) -> None:
        """Take a request; its parcel is resumed with the answer, or with None after a while."""
        self._waiting = parcel
        for _ in range(2 if self._happens("duplication", TWICE_PER_MILLE) else 1):
            if not self._is_lost(self.mute_until_ms):
                self._timeline.after(self._delay_ms(), lambda: self._arrives(letter))
        self._timeline.after(WAIT_MS_MAX, lambda: self._ends(parcel, None))

    def forget(self) -> None:
        """The program that waited is gone."""
        self._waiting = None

    @property
    def is_cut(self) -> bool:
        """Return whether either direction is cut at present."""
        return self._timeline.now_ms < max(self.deaf_until_ms, self.mute_until_ms)

    def _arrives(self, letter: Letter) -> None:
        reply = self._receive(letter)
        if reply is not None and not self._is_lost(self.deaf_until_ms):
            self._timeline.after(self._delay_ms(), lambda: self._answers(reply))

    def _answers(self, reply: Reply) -> None:
        parcel = self._waiting
        if parcel is not None and is_answer_to(parcel.nonce, reply):
            self._ends(parcel, reply)

    def _ends(self, parcel: Parcel, reply: Reply | None) -> None:
        if self._waiting is parcel:
            self._waiting = None
            self.answered += reply is not None
            assert parcel.resume is not None
            parcel.resume(reply)

    def _is_lost(self, cut_until_ms: int) -> bool:
        cut = self._timeline.now_ms < cut_until_ms
        return cut or self._happens("loss", self._setup.loss_per_mille)

    def _delay_ms(self) -> int:
        if self._happens("delay", LATE_PER_MILLE):
            return self._chance.randrange(LATE_MS_MAX)
        return self._chance.randrange(1, self._setup.message_ms + 1)

    def _happens(self, fault: str, per_mille: int) -> bool:
        happens = self._setup.has(fault) and self._chance.randrange(1_000) < per_mille
        return happens and not self.calm


def is_answer_to(nonce: str, reply: Reply) -> bool:
    """Whether a reply answers this very call."""
    return reply.nonce == nonce


class Client:
    """`agent.sync.client.Registry` over a link.

    changed  what is made of an answer before the node's own code sees it: a liar changes it
    """

    def __init__(
        self,
        node_id: str,
        link: Link,
        key: SigningKey,
        *,
        signed: bool,
        new_nonce: Callable[[], str],
        changed: Callable[[SyncAnswer], SyncAnswer],
    ) -> None:
        self._node_id = node_id
        self._link = link
        self._key = key
        self._signed = signed
        self._new_nonce = new_nonce
        self._changed = changed

    async def sync(
        self, request: SyncRequest, *, trusted: Mapping[str, bytes], now_ms: int
    ) -> tuple[SyncAnswer, str]:
        """Send the call and wait for its answer."""
        nonce, body = self._new_nonce(), pack(request)
        headers = {}
        if self._signed:
            headers = signed_request_headers(
                method="POST",
                url=REGISTRY_URL,
                body=body,
                key=self._key,
                now_ms=now_ms,
                nonce=nonce,
            )
        parcel = Parcel(nonce)
        self._link.send(Letter(self._node_id, nonce, now_ms, body, headers), parcel)
        reply = await parcel
        if reply is None:
            raise RegistrySilent("No answer came.")
        if reply.refused:
            raise RefusedByRegistry(
                code=reply.refused,
                status=reply.status,
                message="Refused.",
                hint="",
                registry_ms=reply.registry_ms,
            )
        if self._signed:
            read_signed_answer(
                status=reply.status,
                headers=reply.headers,
                body=reply.body,
                public_key_of=trusted.get,
                now_ms=None,
                nonce=nonce,
            )
        return self._changed(unpack(reply.body, SyncAnswer)), reply.signed_by

    async def pull(self, asked: LogPull, *, trusted: Mapping[str, bytes], now_ms: int) -> LogPulled:
        """No disk is put back from an old copy here."""
        raise Fault("A simulated disk keeps what it was told.")

    async def enrol(self, request: EnrolRequest, *, now_ms: int) -> EnrolAnswer:
        """Nodes are enrolled before the run begins."""
        raise Fault("A simulated node is enrolled already.")
