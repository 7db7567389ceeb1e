"""What the pages of payments show: steps of a payment on its way, and how it ended, in words."""

from protocol.clock import MINUTE_MS
from registry.payments.checkout import State, TopUp
from web.format import money
from web.view_models.parts import Check
from web.view_models.payments import KeptCard, PaymentRow, ReturnPage

QUICK_MS = 2 * MINUTE_MS
QUICK_S, SLOW_S = 2, 15

DECLINES = {
    "insufficient_funds": "insufficient funds",
    "expired_card": "the card has expired",
    "incorrect_cvc": "the security code is wrong",
    "lost_card": "the bank refused it",
    "stolen_card": "the bank refused it",
    "authentication_required": "the bank wants you to confirm it",
    "processing_error": "the bank could not be asked",
}
"""Only what its holder may know: a bank's suspicion is not for who holds the card."""

ENDS = {
    State.FAILED: ("bad", "The payment failed."),
    State.CANCELED: ("warn", "The payment was cancelled."),
    State.EXPIRED: ("warn", "The payment page has expired."),
    State.REFUNDED: ("info", "The payment was refunded."),
    State.DISPUTED: ("warn", "The payment is disputed by the card's bank."),
    State.CHARGED_BACK: ("bad", "The card's bank took the payment back."),
}


def return_page(row: TopUp, *, cancelled: bool, asked: bool, now_ms: int) -> ReturnPage:
    """Return the page a payer comes back to.

    cancelled  the payer came back by the button of the hosted page
    asked      the processor could be asked just now
    """
    quick = now_ms - row.created_at_ms < QUICK_MS
    suffix = "&cancelled=1" if cancelled else ""
    return ReturnPage(
        now_ms=now_ms,
        live_url=f"/billing/return?s={row.top_up_id}{suffix}",
        poll_s=QUICK_S if quick else SLOW_S,
        micros=row.micros,
        steps=_steps(row),
        verdict=_verdict(row, cancelled=cancelled, asked=asked),
        is_open=row.is_open or (row.confirmed_at_ms is not None and not row.is_credited),
        again_url=f"/billing/continue?s={row.top_up_id}",
        go_on_url=row.return_to,
        ledger_id=row.journal_id,
    )


def payment_row(row: TopUp, *, organization: str = "") -> PaymentRow:
    """Return a payment as a line of a list."""
    back = row.micros - row.refunded_micros
    return PaymentRow(
        at_ms=row.created_at_ms,
        top_up_id=row.top_up_id,
        what="Automatic top-up" if row.kind == "auto" else "Top-up by card",
        micros=row.micros,
        state=row.state.value,
        refunded_micros=row.refunded_micros,
        note=refusal_words(row.decline) if row.decline else row.why if organization else "",
        href=f"/billing/return?s={row.top_up_id}",
        organization=organization,
        payment_id=row.payment_id,
        refundable_micros=back if row.state is State.SUCCEEDED else 0,
    )


def kept_card(brand: str, last4: str, exp_month: int, exp_year: int) -> KeptCard:
    """Return a kept card as it is shown."""
    return KeptCard(f"{brand.capitalize()} ending in {last4}", f"{exp_month:02d}/{exp_year}")


def refusal_words(decline: str) -> str:
    """Return why a card was refused: "Card refused: insufficient funds."."""
    return f"Card refused: {DECLINES.get(decline, 'the bank gives no reason')}."


def _steps(row: TopUp) -> tuple[Check, ...]:
    paid = row.confirmed_at_ms is not None
    received = paid or bool(row.payment_id and not row.decline)
    return (
        Check("ok" if received else "neutral", "Received by the card processor"),
        Check("ok" if paid else "neutral", "Confirmed by Stripe"),
        Check(
            "ok" if row.is_credited else "neutral",
            f"Credited, ledger entry {row.journal_id}" if row.is_credited else "Credited",
        ),
    )


def _verdict(row: TopUp, *, cancelled: bool, asked: bool) -> tuple[str, str, str]:
    amount = money(row.micros)
    if row.state is State.SUCCEEDED and row.is_credited:
        return "ok", f"{amount} is credited.", "It can be spent at once."
    if row.state in ENDS:
        tone, title = ENDS[row.state]
        text = refusal_words(row.decline) if row.decline else ""
        nothing = "" if row.is_credited else "Nothing was charged."
        return tone, title, f"{text} {nothing}".strip()
    if row.why.startswith("Not credited"):
        return (
            "bad",
            "The payment is being looked at.",
            "It is not what was asked for.",
        )
    if row.decline:
        return "bad", refusal_words(row.decline), "Try another card; nothing was charged."
    if cancelled:
        return "info", "You came back without paying.", "Nothing was charged."
    if not asked:
        return "warn", "The card processor does not answer.", "This page asks again by itself."
    return "info", f"{amount} is on its way.", "The bank confirms it, usually within a minute."
