"""Pages of payments by card, with something on them."""

from dataclasses import replace

from tests.web.sample_parts import MINUTE_MS, NOW_MS, shell
from web.view_models.parts import Check, Choice, FieldError, Form, Paging
from web.view_models.payments import (
    CheckoutPage,
    KeptCard,
    PaymentRow,
    PaymentsPage,
    ReturnPage,
)
from web.view_models.shell import Shell

AMOUNTS = (
    Choice("25", "$25"),
    Choice("50", "$50"),
    Choice("100", "$100"),
    Choice("other", "Other"),
)
CHECKOUT = CheckoutPage(
    balance_micros=6_410_000,
    cards=True,
    idempotency_key="r_01k9",
    amounts=AMOUNTS,
    keeping=(
        Choice("once", "Only this time"),
        Choice("keep", "Keep the card", "For automatic top-ups, which you set under Payments."),
    ),
    form=Form({"amount": "50", "card": "once", "receipt_email": "amina@umoja.example"}),
    return_to="/billing",
    transfer="Umoja Bank, account 12-345.",
    reference="t_01k9",
    test=True,
)
WAITING = ReturnPage(
    now_ms=NOW_MS,
    live_url="/billing/return?s=tu_1",
    poll_s=2,
    micros=50_000_000,
    steps=(
        Check("ok", "Received by the card processor"),
        Check("neutral", "Confirmed by Stripe"),
        Check("neutral", "Credited"),
    ),
    verdict=("info", "$50.00 is on its way.", "The bank confirms it, usually within a minute."),
    is_open=True,
    again_url="/billing/continue?s=tu_1",
    go_on_url="/launch",
)
ROWS = (
    PaymentRow(
        at_ms=NOW_MS - MINUTE_MS,
        top_up_id="tu_1",
        what="Top-up by card",
        micros=50_000_000,
        state="succeeded",
        refunded_micros=10_000_000,
        note="",
        href="/billing/return?s=tu_1",
    ),
    PaymentRow(
        at_ms=NOW_MS - 9 * MINUTE_MS,
        top_up_id="tu_2",
        what="Automatic top-up",
        micros=25_000_000,
        state="failed",
        refunded_micros=0,
        note="Card refused: insufficient funds.",
        href="/billing/return?s=tu_2",
    ),
)
PAYMENTS = PaymentsPage(
    now_ms=NOW_MS,
    rows=ROWS,
    paging=Paging(next_url="/billing/payments?after=1"),
    card=KeptCard("Visa ending in 4242", "08/2030"),
    can_pay=True,
    cards=True,
    auto_on=True,
    rules=(Choice("on", "On"), Choice("off", "Off")),
    stopped="",
    form=Form({"rule": "on", "threshold": "10", "amount": "50"}),
)

PAYMENT_SCENES: dict[str, tuple[str, object, Shell | None]] = {
    "checkout": ("registry/billing/checkout.html", CHECKOUT, shell("/billing/checkout")),
    "checkout-refused": (
        "registry/billing/checkout.html",
        replace(
            CHECKOUT,
            form=Form(
                {"amount": "other", "other_amount": "4"},
                (FieldError("other_amount", "The amount must be a whole number from 5 to 10000."),),
            ),
        ),
        shell("/billing/checkout"),
    ),
    "checkout-no-cards": (
        "registry/billing/checkout.html",
        replace(CHECKOUT, cards=False, transfer=""),
        shell("/billing/checkout"),
    ),
    "return": ("registry/billing/return.html", WAITING, shell("/billing/return")),
    "return-credited": (
        "registry/billing/return.html",
        replace(
            WAITING,
            steps=(
                Check("ok", "Received by the card processor"),
                Check("ok", "Confirmed by Stripe"),
                Check("ok", "Credited, ledger entry 41"),
            ),
            verdict=("ok", "$50.00 is credited.", "It can be spent at once."),
            is_open=False,
            ledger_id=41,
        ),
        shell("/billing/return"),
    ),
    "return-failed": (
        "registry/billing/return.html",
        replace(WAITING, verdict=("bad", "The payment failed.", ""), is_open=False),
        shell("/billing/return"),
    ),
    "payments": ("registry/billing/payments.html", PAYMENTS, shell("/billing/payments")),
    "payments-stopped": (
        "registry/billing/payments.html",
        replace(PAYMENTS, auto_on=False, stopped="2 payments in a row failed."),
        shell("/billing/payments"),
    ),
    "payments-empty": (
        "registry/billing/payments.html",
        replace(PAYMENTS, rows=(), paging=Paging(), card=None),
        shell("/billing/payments"),
    ),
}
