"""Pay sites: what has matured is booked to a payout, and what becomes of it is booked in turn."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from protocol.clock import DAY_MS
from protocol.money import MICROS_PER_UNIT
from protocol.refusal import Refusal
from registry.audit.operations import record
from registry.ledger.operations import post
from registry.ledger.postings import Journal, whole_cents
from registry.ledger.queries import find_journal
from registry.ledger.site_postings import payout as payout_journal
from registry.ledger.site_postings import payout_returned
from registry.payouts import queries
from registry.payouts.queries import Destination, Payout
from registry.payouts.sender import PayoutAnswer
from registry.payouts.states import GIVES_BACK, Event, State, moved
from registry.sites.queries import get_site
from registry.store.database import Db
from registry.tenants.naming import read_name
from registry.tenants.roles import Actor, require

PAYOUT_MICROS_MIN = 25 * MICROS_PER_UNIT
"""Less than this waits for more: a transfer costs its fee whatever it carries."""

PAYOUT_EVERY_MS = 28 * DAY_MS
"""A site is paid by itself at most so often; an operator may pay it at any time."""

PAYOUTS_MAX = 200
"""Payouts that one run makes."""

REGISTRY = "registry"
"""Who acts in the audit where no person does."""


def set_destination(
    db: Db,
    site_id: str,
    place: Destination,
    *,
    senders: Collection[str],
    actor: Actor,
    now_ms: int,
) -> None:
    """Let a site be paid there; refuses a sender that is not set up."""
    require(actor, "ledger.adjust")
    get_site(db, site_id)
    if place.sender not in senders:
        raise Refusal(
            code="sender_unknown",
            status=422,
            message=f"sender: {place.sender} is not set up here.",
            hint=f"Use one of {', '.join(sorted(senders))}.",
            field="sender",
        )
    text = read_name(place.destination, field="destination", label="The destination")
    queries.put_destination(db, site_id, Destination(place.sender, text), now_ms=now_ms)
    record(
        db,
        actor=actor,
        action="payout.destination",
        object_id=site_id,
        tenant_id=get_site(db, site_id).tenant_id,
        detail={"sender": place.sender, "destination": text},
        now_ms=now_ms,
    )


def start_payouts(
    db: Db,
    *,
    accounts: Mapping[str, str],
    now_ms: int,
    new_id: Callable[[str], str],
    actor: Actor | None = None,
    site_id: str | None = None,
) -> list[Payout]:
    """Book a payout for every site that has enough and whose turn it is; return them.

    accounts  by sender: the account of the ledger that pays
    actor     an operator, who need not wait for a site's turn; None for the registry by itself
    site_id   pay this site alone
    """
    if actor is not None:
        require(actor, "ledger.adjust")
    made = []
    for found, payable, place in queries.list_payable(
        db, least=PAYOUT_MICROS_MIN, limit=PAYOUTS_MAX
    ):
        if (site_id and found != site_id) or place.sender not in accounts:
            continue
        last_ms = queries.latest_created_ms(db, found)
        if actor is None and last_ms is not None and now_ms - last_ms < PAYOUT_EVERY_MS:
            continue
        made.append(
            _started(
                db,
                _pending(found, payable, place, accounts, payout_id=new_id("payout"), at=now_ms),
                actor=actor,
            )
        )
    return made


def note_answer(db: Db, payout_id: str, answer: PayoutAnswer, *, now_ms: int) -> State:
    """Note what its sender says of a payout; said again, it changes nothing."""
    payout = _get(db, payout_id)
    if answer.outcome == "waiting" or payout.state is not State.PENDING:
        return payout.state
    event = Event.PAID if answer.outcome == "paid" else Event.REFUSED
    return _moved(
        db, payout, event, reference=answer.reference, why=answer.why, actor=None, now_ms=now_ms
    )


def tell(
    db: Db, payout_id: str, event: Event, *, reference: str, why: str, actor: Actor, now_ms: int
) -> State:
    """Note what an operator says of a payout; refuses what cannot happen to it now."""
    require(actor, "ledger.adjust")
    payout = _get(db, payout_id)
    return _moved(db, payout, event, reference=reference, why=why, actor=actor, now_ms=now_ms)


def note_returned(db: Db, payout_id: str, *, why: str, now_ms: int) -> State:
    """Note that a provider called a payout back after it was sent; again, it changes nothing."""
    payout = _get(db, payout_id)
    if payout.state is State.REVERSED:
        return payout.state
    return _moved(db, payout, Event.RETURNED, reference="", why=why, actor=None, now_ms=now_ms)


def expected_journals(db: Db) -> dict[str, Journal]:
    """Return the journals that the payouts come to, by business key."""
    journals = {}
    for payout in queries.list_every_payout(db):
        sent = _journal(payout)
        journals[sent.src] = sent
        if payout.state in GIVES_BACK:
            assert payout.returned_at_ms is not None
            returned = _returned(payout, sent, payout.returned_at_ms)
            journals[returned.src] = returned
    return journals


def _pending(
    site_id: str,
    payable: int,
    place: Destination,
    accounts: Mapping[str, str],
    *,
    payout_id: str,
    at: int,
) -> Payout:
    return Payout(
        payout_id=payout_id,
        site_id=site_id,
        micros=whole_cents(payable),
        state=State.PENDING,
        sender=place.sender,
        account=accounts[place.sender],
        destination=place.destination,
        reference="",
        why="",
        created_at_ms=at,
        sent_at_ms=None,
        returned_at_ms=None,
    )


def _started(db: Db, payout: Payout, *, actor: Actor | None) -> Payout:
    queries.insert_payout(db, payout)
    posted = post(db, _journal(payout))
    assert posted is not None
    _audit(db, payout, State.PENDING, actor=actor, now_ms=payout.created_at_ms)
    return payout


def _moved(
    db: Db,
    payout: Payout,
    event: Event,
    *,
    reference: str,
    why: str,
    actor: Actor | None,
    now_ms: int,
) -> State:
    after = moved(payout.state, event)
    changed = queries.move_payout(
        db,
        payout.payout_id,
        before=payout.state,
        after=after,
        reference=reference,
        why=why,
        now_ms=now_ms,
    )
    assert changed
    if after in GIVES_BACK:
        sent = find_journal(db, _src(payout))
        assert sent is not None
        posted = post(db, _returned(payout, sent, now_ms))
        assert posted is not None
    _audit(db, payout, after, actor=actor, now_ms=now_ms)
    return after


def _journal(payout: Payout) -> Journal:
    return payout_journal(
        src=_src(payout),
        site_id=payout.site_id,
        micros=payout.micros,
        at_ms=payout.created_at_ms,
        memo=f"Payout by {payout.sender}",
        out_of=payout.account,
    )


def _returned(payout: Payout, sent: Journal, at_ms: int) -> Journal:
    return payout_returned(
        sent, src=f"undo:{_src(payout)}", at_ms=at_ms, memo="Payout failed or came back"
    )


def _src(payout: Payout) -> str:
    return f"payout:{payout.payout_id}"


def _get(db: Db, payout_id: str) -> Payout:
    payout = queries.find_payout(db, payout_id)
    if payout is None:
        raise Refusal(
            code="payout_unknown",
            status=404,
            message=f"{payout_id}: there is no such payout.",
            hint="Look at the list of payouts.",
        )
    return payout


def _audit(db: Db, payout: Payout, state: State, *, actor: Actor | None, now_ms: int) -> None:
    detail: dict[str, Any] = {"micros": payout.micros, "site": payout.site_id}
    record(
        db,
        actor=REGISTRY if actor is None else actor,
        action=f"payout.{state}",
        object_id=payout.payout_id,
        tenant_id=get_site(db, payout.site_id).tenant_id,
        detail=detail,
        now_ms=now_ms,
    )
