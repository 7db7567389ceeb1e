"""A site's month as its page shows it: the answer first, then every step that leads to it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from protocol.clock import DAY_MS, HOUR_MS
from protocol.money import MICROS_PER_UNIT, read_amount
from protocol.refusal import Refusal
from registry.ledger.postings import BASIS_POINTS
from registry.payouts.earnings import Earning, Sums, forecast, sold_percent, summed
from registry.payouts.months import Month
from web.format import count, money, plural, utc_month
from web.view_models.parts import Chart, FieldError, Form, Series
from web.view_models.payouts import HeatRow, NodeEarningRow, WaterfallStep, WhatIf

HOURS_PER_MONTH = 730
PERCENT = 100
WH_PER_KWH = 1_000
SOLD_USUAL = "50"
WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
WEEK_DAYS = len(WEEKDAYS)
EPOCH_WEEKDAY = 3
"""The first of January 1970 was a Thursday: day 3 of a week that begins on Monday."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A node and what it can sell.

    begin_ms   since when it can
    simulated  whether its GPUs are not real
    """

    node_id: str
    name: str
    gpus: int
    power_w: int
    begin_ms: int
    simulated: bool = False

    @property
    def told(self) -> str:
        """Return its name as a table or a file tells it."""
        return f"{self.name} (simulated)" if self.simulated else self.name


@dataclass(frozen=True, slots=True)
class MonthOf:
    """What happened at a site in a month.

    set_right   corrections of operators: below zero taken back
    taken_back  of matured shares, by operators
    """

    month: Month
    now_ms: int
    found: tuple[Earning, ...]
    set_right: int
    taken_back: int
    basis_points: int

    @property
    def sums(self) -> Sums:
        """What its usage came to."""
        return summed(self.found)

    @property
    def share(self) -> int:
        """What the site earned in it, corrections included."""
        return self.sums.share + self.set_right - self.taken_back

    @property
    def is_over(self) -> bool:
        """Whether nothing more is used in it; the last records may still be on their way."""
        return self.now_ms >= self.month.end_ms


def answer(seen: MonthOf, offers: Sequence[Offer]) -> str:
    """Return the month in one sentence."""
    sums, name = seen.sums, utc_month(seen.month.begin_ms)
    if not sums.charged and not sums.gpu_ms:
        return f"Nothing was sold here in {name}."
    sold = sold_percent(sums.gpu_ms, offered_ms=offered_ms(offers, seen))
    parts = [f"{count(sums.energy_wh // WH_PER_KWH)} kWh"] if sums.energy_wh else []
    hours = plural(sums.gpu_ms // HOUR_MS, "GPU hour")
    parts.append(f"{hours} sold" + ("" if sold is None else f" ({sold} %)"))
    parts.append(f"your share {money(seen.share)}")
    return f"{name}{'' if seen.is_over else ' so far'}: {', '.join(parts)}."


def offered_ms(offers: Iterable[Offer], seen: MonthOf) -> int:
    """Return the GPU time that could be sold so far."""
    end_ms = min(seen.now_ms, seen.month.end_ms)
    begin_ms = seen.month.begin_ms
    return sum(one.gpus * max(end_ms - max(begin_ms, one.begin_ms), 0) for one in offers)


def waterfall(seen: MonthOf, *, usage_href: str) -> tuple[WaterfallStep, ...]:
    """Return the steps from what customers were charged to the site's share."""
    sums = seen.sums
    whole = max(sums.charged, 1)
    part = sums.share - sums.charged
    steps = [
        ("Charged to customers", sums.charged, "Verified usage alone.", False, usage_href),
        (
            "Platform's part",
            part,
            f"{percent_words(BASIS_POINTS - seen.basis_points)}; card fees, refunds and disputes "
            "are paid of it.",
            False,
            "",
        ),
    ]
    if seen.set_right:
        steps.append(("Set right", seen.set_right, "Charges that were corrected.", False, ""))
    if seen.taken_back:
        steps.append(("Taken back", -seen.taken_back, "Share that was not earned.", False, ""))
    steps.append(("Your share", seen.share, "", True, usage_href))
    return tuple(
        WaterfallStep(label, micros, note, min(abs(micros), whole), whole, is_sum=is_sum, href=href)
        for label, micros, note, is_sum, href in steps
    )


def node_rows(
    seen: MonthOf, offers: Sequence[Offer], *, usage_href: str
) -> tuple[NodeEarningRow, ...]:
    """Return what each node earned, the best first."""
    rows = []
    for offer in offers:
        sums = summed(one for one in seen.found if one.node_id == offer.node_id)
        rows.append(
            NodeEarningRow(
                name=offer.name,
                href=f"/nodes/{offer.node_id}",
                gpus=offer.gpus,
                gpu_ms=sums.gpu_ms,
                sold_percent=sold_percent(sums.gpu_ms, offered_ms=offered_ms([offer], seen)),
                charged_micros=sums.charged,
                share_micros=sums.share,
                usage_href=f"{usage_href}&node={offer.node_id}",
                simulated=offer.simulated,
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.share_micros, row.name)))


def forecast_of(seen: MonthOf) -> int | None:
    """Return what the month comes to at the pace so far, or None once it is over."""
    return forecast(
        seen.sums.share,
        begin_ms=seen.month.begin_ms,
        end_ms=seen.month.end_ms,
        now_ms=seen.now_ms,
    )


def day_chart(seen: MonthOf) -> Chart | None:
    """Return the share by day, and dashed what is still to come at this pace; None without any."""
    if not seen.sums.charged:
        return None
    by_day: dict[int, int] = {}
    for one in seen.found:
        day_ms = one.at_ms - one.at_ms % DAY_MS
        by_day[day_ms] = by_day.get(day_ms, 0) + one.share
    days = range(seen.month.begin_ms, seen.month.end_ms, DAY_MS)
    today = seen.now_ms - seen.now_ms % DAY_MS
    values = tuple(by_day.get(day, 0) if day <= today else None for day in days)
    best = max(value or 0 for value in values)
    series = [Series("Your share per day", values, "filled")]
    summary = (
        f"{money(seen.sums.share)} in {utc_month(seen.month.begin_ms)}, at most {money(best)} on "
        "one day (UTC)"
    )
    whole = forecast_of(seen)
    if whole is not None:
        daily = whole // len(days)
        ahead = tuple(daily if day > today else None for day in days)
        series.append(Series("Forecast at this pace", ahead, "dashed"))
        summary += f"; forecast {money(whole)} by its end"
    return Chart(
        chart_id="share",
        title="Your share per day",
        summary=f"{summary}.",
        unit="micros",
        times_ms=tuple(days),
        series=tuple(series),
    )


def heat(sold_ms: Mapping[int, int], offers: Sequence[Offer], seen: MonthOf) -> tuple[HeatRow, ...]:
    """Return how much was sold by hour of the day and weekday; nothing where nothing was sold.

    sold_ms  GPU time by hour edge
    """
    if not sold_ms:
        return ()
    end_ms = min(seen.now_ms, seen.month.end_ms)
    sold: dict[tuple[int, int], int] = {}
    offered: dict[tuple[int, int], int] = {}
    for hour_ms in range(seen.month.begin_ms, end_ms, HOUR_MS):
        place = (hour_ms % DAY_MS // HOUR_MS, (hour_ms // DAY_MS + EPOCH_WEEKDAY) % WEEK_DAYS)
        could = sum(
            one.gpus * max(min(hour_ms + HOUR_MS, end_ms) - max(hour_ms, one.begin_ms), 0)
            for one in offers
        )
        sold[place] = sold.get(place, 0) + sold_ms.get(hour_ms, 0)
        offered[place] = offered.get(place, 0) + could
    return tuple(
        HeatRow(
            hour,
            tuple(
                sold_percent(sold.get((hour, day), 0), offered_ms=offered.get((hour, day), 0))
                for day in range(WEEK_DAYS)
            ),
        )
        for hour in range(DAY_MS // HOUR_MS)
    )


def heat_words(rows: Sequence[HeatRow]) -> str:
    """Return the busiest hour of the week in one sentence; nothing where there is none."""
    found = [
        (percent, -row.hour, -day)
        for row in rows
        for day, percent in enumerate(row.percents)
        if percent is not None
    ]
    if not found:
        return ""
    percent, hour, day = max(found)
    return f"Most was sold on {WEEKDAYS[-day]} at {-hour:02d}:00 UTC: {percent} %."


def what_if(
    asked: Form, offers: Sequence[Offer], *, basis_points: int, price_micros: int | None
) -> WhatIf:
    """Return a month as it could be, with its sum in words; with errors, only what was typed.

    price_micros  the lowest price in force of a GPU of the site, an hour; the usual assumption
    """
    usual = {
        "price": "" if price_micros is None else _plain(price_micros),
        "sold": SOLD_USUAL,
        "tariff": "0.15",
    }
    form = Form({name: asked.value(name) or text for name, text in usual.items()})
    if not form.value("price"):
        return WhatIf(form)
    try:
        price = read_amount(form.value("price"), field="price")
        tariff = read_amount(form.value("tariff"), field="tariff")
        sold = _percent(form.value("sold"))
    except Refusal as refused:
        error = FieldError(refused.field or "sold", f"{refused.message} {refused.hint}")
        return WhatIf(Form(form.values, (error,)))
    gpus = sum(one.gpus for one in offers)
    watts = sum(one.power_w for one in offers)
    hours = gpus * HOURS_PER_MONTH * sold // PERCENT
    charged = hours * price
    share = charged * basis_points // BASIS_POINTS
    kwh = watts * HOURS_PER_MONTH * sold // (PERCENT * WH_PER_KWH)
    power = kwh * tariff
    return WhatIf(
        form,
        (
            f"{plural(gpus, 'GPU')} × {HOURS_PER_MONTH} h × {sold} % = {count(hours)} GPU hours",
            f"{count(hours)} × {money(price)} = {money(charged)} charged",
            f"{percent_words(basis_points)} of it = {money(share)}, your share",
            f"{count(watts)} W × {HOURS_PER_MONTH} h × {sold} % = {count(kwh)} kWh",
            f"{count(kwh)} × {money(tariff)} = {money(power)} for power",
        ),
        share - power,
    )


def percent_words(basis_points: int) -> str:
    """Return 1/10,000 in percent: "70 %", "12.5 %"."""
    whole, rest = divmod(basis_points, PERCENT)
    return f"{whole}{f'.{rest:02d}'.rstrip('0') if rest else ''} %"


def _percent(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= PERCENT):
        raise Refusal(
            code="percent_unreadable",
            status=400,
            message="sold: not a share of the time.",
            hint="Write whole percent, 0 to 100.",
            field="sold",
        )
    return int(text)


def _plain(micros: int) -> str:
    units, rest = divmod(micros, MICROS_PER_UNIT)
    return f"{units}.{f'{rest:06d}'.rstrip('0').ljust(2, '0')}"
