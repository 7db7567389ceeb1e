"""The registry in the middle: the shipped operations over a database in memory."""

import sqlite3
from collections.abc import Callable
from random import Random

import msgspec

from protocol.http_signature import AGE_MS_MAX, signed_answer_headers
from protocol.refusal import Refusal, SignatureRefused
from protocol.signing import Envelope, SigningKey, key_id, new_signing_key, public_bytes
from protocol.sync import SyncAnswer, SyncRequest
from protocol.wire import pack, unpack
from registry.app import trust_key
from registry.leases.operations import release_overdue
from registry.nodes.operations import spend_nonce
from registry.store.database import Database, Db
from registry.sync.operations import Caller, SignedCall, SyncPolicy, caller_of, sync
from simulation.disk import Death, Killed
from simulation.network import REGISTRY_URL, Letter, Reply
from simulation.setup import Setup
from simulation.timeline import Timeline

DOMAIN = "registry.example"
SHARE_BASIS_POINTS = 7_000
LAGGING_PER_MILLE = 150

Answered = Callable[[str, SyncRequest, SyncAnswer], None]


class Centre:
    """Answers letters, each in its units of work, unless it is away.

    on_answered  told of every call that was taken in and kept
    doomed       the next call is the last before the registry is started anew
    """

    def __init__(
        self,
        database: Database,
        aside: sqlite3.Connection,
        timeline: Timeline,
        setup: Setup,
        *,
        on_answered: Answered,
    ) -> None:
        self.database = database
        self.aside = aside
        self.key: SigningKey = new_signing_key(setup.chance("registry key").randbytes(32))
        self.policy = SyncPolicy(
            domain=DOMAIN,
            key=self.key,
            trust_keys=(trust_key(self.key),),
            site_share_basis_points=SHARE_BASIS_POINTS,
            base_url=f"https://{DOMAIN}",
            terms=setup.terms,
        )
        self.away_until_ms = 0
        self.doomed: Death | None = None
        self._timeline = timeline
        self._setup = setup
        self._chance: Random = setup.chance("registry")
        self._on_answered = on_answered
        self._key_id = key_id(public_bytes(self.key))
        self._told: dict[str, list[Envelope]] = {}

    def receive(self, letter: Letter) -> Reply | None:
        """Return the answer to a letter; None if the registry is away, or ends amid it."""
        now_ms = self._timeline.now_ms
        if now_ms < self.away_until_ms:
            return None
        caller = self._caller(letter, now_ms)
        if isinstance(caller, Refusal):
            self._timeline.tell(letter.node_id, f"refused {caller.code}")
            return Reply(
                letter.nonce, 401, b"", self._key_id, refused=caller.code, registry_ms=now_ms
            )
        request = unpack(letter.body, SyncRequest)
        doomed, self.doomed = self.doomed, None
        try:
            with self.database.unit() as db:
                answer = sync(db, caller.node_id, request, policy=self.policy, now_ms=now_ms)
                if doomed == "before":
                    raise Killed
        except Killed:
            self._timeline.tell("registry", "ended before it kept a call")
            return None
        self._on_answered(caller.node_id, request, answer)
        if doomed == "after":
            self._timeline.tell("registry", "ended after it kept a call")
            return None
        return self._reply(letter, self._lagged(caller.node_id, answer), now_ms)

    def do(self, work: Callable[[Db], None]) -> str:
        """Do a unit of work for a person; return the code of what refused it, empty if nothing."""
        try:
            with self.database.unit() as db:
                work(db)
        except Refusal as refusal:
            return refusal.code
        return ""

    def duty(self) -> int:
        """Do the background work about leases."""
        return self.database.run(release_overdue, now_ms=self._timeline.now_ms)

    def _caller(self, letter: Letter, now_ms: int) -> Caller | Refusal:
        """Return who calls, by the signature; or, where letters carry none, as if by it."""
        with self.database.unit() as db:
            if self._setup.signed:
                call = SignedCall("POST", REGISTRY_URL, letter.headers, letter.body)
                return caller_of(db, call, now_ms=now_ms)
            if abs(now_ms - letter.created_ms) > AGE_MS_MAX:
                return SignatureRefused("signature_stale", "The call is too old.")
            expires_at_ms = letter.created_ms + 2 * AGE_MS_MAX
            if not spend_nonce(db, letter.node_id, letter.nonce, expires_at_ms=expires_at_ms):
                return SignatureRefused("signature_replayed", "The call was made before.")
            return Caller(letter.node_id, letter.nonce)

    def _lagged(self, node_id: str, answer: SyncAnswer) -> SyncAnswer:
        """Return the answer of a worker that may read what to run from an older state."""
        told = self._told.setdefault(node_id, [])
        lagging = self._setup.has("lagging") and self._chance.randrange(1_000) < LAGGING_PER_MILLE
        stale = self._chance.choice(told) if lagging and told else None
        if answer.desired is not None:
            told.append(answer.desired)
        if stale is None:
            return answer
        return msgspec.structs.replace(answer, desired=stale)

    def _reply(self, letter: Letter, answer: SyncAnswer, now_ms: int) -> Reply:
        body = pack(answer)
        headers = {}
        if self._setup.signed:
            headers = signed_answer_headers(
                status=200, body=body, key=self.key, now_ms=now_ms, nonce=letter.nonce
            )
        return Reply(letter.nonce, 200, body, self._key_id, headers)
