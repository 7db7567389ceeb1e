"""Pages of what a site earns: with a month, empty, wrongly asked, and hostile."""

from dataclasses import replace

from tests.web.sample_parts import DAY_MS, MINUTE_MS, NOW_MS, shell
from web.view_models.parts import Chart, Choice, FieldError, Form, Paging, Series
from web.view_models.payouts import (
    EarningRow,
    EarningRowsPage,
    EarningsPage,
    HeatRow,
    NodeEarningRow,
    NoSitesPage,
    PayoutRow,
    Standing,
    WaterfallStep,
    WhatIf,
)
from web.view_models.shell import Shell

HOSTILE = "<script>alert(1)</script>\u202eevil\u202c\"'><img src=x onerror=alert(2)> " + "W" * 160
DAYS = tuple(NOW_MS - NOW_MS % DAY_MS + (at - 20) * DAY_MS for at in range(30))
FORM = Form({"price": "2.50", "sold": "50", "tariff": "0.15"})
EARNINGS = EarningsPage(
    now_ms=NOW_MS,
    month_at_ms=DAYS[0],
    is_over=False,
    answer="November 2026 so far: 412 kWh, 3,118 GPU hours sold (58 %), your share $2,431.70.",
    site_name="Edge room Nairobi",
    sites=(Choice("s_1", "Edge room Nairobi"), Choice("s_2", "Edge room Mombasa")),
    site_id="s_1",
    month="2026-11",
    share_words="70 %",
    standing=Standing(
        held_micros=1_204_310_000,
        payable_micros=431_709_999,
        owed_micros=1_250_000,
        on_way_micros=80_000_000,
        paid_micros=9_120_000_000,
        least_micros=25_000_000,
        window_ms=14 * DAY_MS,
        paid_to="Umoja Bank, account 12-345 (bank)",
    ),
    waterfall=(
        WaterfallStep("Charged to customers", 3_473_857_143, "Verified usage alone.", 10, 10),
        WaterfallStep("Platform's part", -1_042_157_143, "30 %", 3, 10),
        WaterfallStep("Your share", 2_431_700_000, "", 7, 10, is_sum=True, href="/x"),
    ),
    nodes=(
        NodeEarningRow("nbo-1", "/nodes/n_1", 8, 3_118 * 60 * MINUTE_MS, 58, 3_473_857_143,
                       2_431_700_000, "/site-owner/usage?node=n_1"),
        NodeEarningRow("nbo-2", "/nodes/n_2", 0, 0, None, 0, 0, "/site-owner/usage?node=n_2"),
    ),
    payouts=(
        PayoutRow(NOW_MS - DAY_MS, 80_000_000, "pending", "bank", "Umoja Bank 12-345", "", ""),
        PayoutRow(NOW_MS - 30 * DAY_MS, 91_000_000, "sent", "bank", "Umoja Bank 1", "TX 7", ""),
        PayoutRow(NOW_MS - 60 * DAY_MS, 91_000_000, "failed", "bank", "Old", "", "Account closed"),
        PayoutRow(NOW_MS - 90 * DAY_MS, 5_000_000, "reversed", "bank", "Old", "TX 3", "Returned"),
    ),
    what_if=WhatIf(FORM, ("8 GPUs × 730 h × 50 % = 2,920 GPU hours", "…"), 4_812_500_000),
    chart=Chart(
        chart_id="share",
        title="Your share per day",
        summary="$2,431.70 in November 2026, at most $140.00 on one day (UTC).",
        unit="micros",
        times_ms=DAYS,
        series=(
            Series("Your share per day", tuple(120_000_000 for _ in range(21)) + (None,) * 9,
                   "filled"),
            Series("Forecast at this pace", (None,) * 21 + (118_000_000,) * 9, "dashed"),
        ),
    ),
    heat=tuple(HeatRow(hour, (hour, 58, 100, 0, None, 7, 31)) for hour in range(24)),
    heat_words="Most was sold on Wednesdays at 00:00 UTC: 100 %.",
    forecast_micros=3_501_000_000,
    before_url="/site-owner?site=s_1&month=2026-10",
    after_url="/site-owner?site=s_1&month=2026-12",
    usage_url="/site-owner/usage?site=s_1&month=2026-11",
    csv_url="/site-owner/statement?site=s_1&month=2026-11",
    json_url="/site-owner/statement?site=s_1&month=2026-11&as=json",
)  # fmt: skip
EMPTY = replace(
    EARNINGS,
    answer="Nothing was sold here in November 2026.",
    standing=Standing(0, 0, 0, 0, 0, 25_000_000, 14 * DAY_MS),
    nodes=(),
    payouts=(),
    chart=None,
    heat=(),
    heat_words="",
    forecast_micros=None,
    what_if=WhatIf(Form({"price": "", "sold": "50", "tariff": "0.15"})),
    after_url="",
)
WRONG = Form(
    {"price": "many", "sold": "50", "tariff": "0.15"},
    (FieldError("price", "price: not an amount of money."),),
)
ROWS = (
    EarningRow(DAYS[0], "nbo-1", "h100.1x", "gpu.ms", 72_000_000, 50_000_000, 35_000_000, "/x?d=1"),
    EarningRow(DAYS[1], "nbo-1", "llama", "tok.out", 1_200_000, 720_000, 504_000, "/x?d=2"),
)
USAGE = EarningRowsPage(
    title="nbo-1, November 2026",
    back_url="/site-owner?site=s_1",
    charged_micros=50_720_000,
    share_micros=35_504_000,
    rows=ROWS,
    by_hour=False,
    paging=Paging(next_url="/site-owner/usage?after=x"),
)
_AT = "/site-owner"
PAYOUT_SCENES: dict[str, tuple[str, object, Shell | None]] = {
    "site-owner": ("registry/payouts/earnings.html", EARNINGS, shell(_AT)),
    "site-owner-empty": ("registry/payouts/earnings.html", EMPTY, shell(_AT)),
    "site-owner-refused": (
        "registry/payouts/earnings.html", replace(EARNINGS, what_if=WhatIf(WRONG)), shell(_AT),
    ),
    "site-owner-hostile": (
        "registry/payouts/earnings.html",
        replace(
            EARNINGS,
            site_name=HOSTILE,
            sites=(Choice("s_2", HOSTILE),),
            nodes=(replace(EARNINGS.nodes[0], name=HOSTILE),),
            payouts=(replace(EARNINGS.payouts[2], why=HOSTILE, destination=HOSTILE),),
        ),
        shell(_AT),
    ),
    "site-owner-usage": ("registry/payouts/usage.html", USAGE, shell(_AT)),
    "site-owner-usage-hours": (
        "registry/payouts/usage.html",
        replace(USAGE, by_hour=True, rows=tuple(replace(row, href="") for row in ROWS)),
        shell(_AT),
    ),
    "site-owner-usage-empty": (
        "registry/payouts/usage.html", replace(USAGE, rows=(), paging=Paging()), shell(_AT),
    ),
    "site-owner-no-sites": ("registry/payouts/no_sites.html", NoSitesPage(True), shell(_AT)),
    "site-owner-nobody": ("registry/payouts/no_sites.html", NoSitesPage(False), shell(_AT)),
}  # fmt: skip
