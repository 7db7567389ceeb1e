"""What a page says of a month follows from its hours; hours that have not passed say nothing."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from registry.payouts.earnings import Earning
from registry.payouts.figures import (
    MonthOf,
    Offer,
    answer,
    day_chart,
    heat,
    heat_words,
    percent_words,
    waterfall,
)
from registry.payouts.months import Month

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MONTH = Month(2026, 11)
OFFER = Offer("n_1", "nbo-1", 2, 1_400, MONTH.begin_ms)


@given(
    charged=st.integers(0, 10**12),
    share=st.integers(0, 10**12),
    right=st.integers(-(10**9), 10**9),
    taken=st.integers(0, 10**9),
)
def test_the_steps_lead_from_the_charge_to_the_share(
    charged: int, share: int, right: int, taken: int
) -> None:
    share = min(share, charged)
    seen = _seen(Earning(MONTH.begin_ms, "n_1", "x", "gpu.ms", 1, charged, share), right, taken)

    *steps, last = waterfall(seen, usage_href="/x")

    assert last.is_sum
    assert sum(step.micros for step in steps) == last.micros == share + right - taken
    assert all(0 <= step.shown <= step.whole for step in (*steps, last))


def test_a_month_without_sales_says_so() -> None:
    assert answer(_seen(None), [OFFER]) == "Nothing was sold here in November 2026."
    assert day_chart(_seen(None)) is None
    assert heat({}, [OFFER], _seen(None)) == ()


def test_the_forecast_of_a_chart_begins_after_today() -> None:
    seen = _seen(Earning(MONTH.begin_ms, "n_1", "x", "gpu.ms", HOUR_MS, 100, 70))

    chart = day_chart(seen)

    assert chart is not None
    sold, ahead = chart.series
    assert ahead.style == "dashed"
    assert [value is None for value in sold.values] == [value is not None for value in ahead.values]
    assert "forecast" in chart.summary


def test_hours_fall_on_the_calendar_s_weekdays_and_hours_to_come_say_nothing() -> None:
    at_ms = MONTH.begin_ms + 3 * DAY_MS + 5 * HOUR_MS
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)

    rows = heat({at_ms: HOUR_MS}, [OFFER], _seen(None, days=6))

    assert rows[5].percents[moment.weekday()] == 50
    assert sum(percent or 0 for row in rows for percent in row.percents) == 50
    passed = [row.percents for row in rows]
    assert sum(percent is None for hours in passed for percent in hours) == 24
    assert heat_words(rows) == f"Most was sold on {moment:%A}s at 05:00 UTC: 50 %."


def test_rates_are_shown_in_percent() -> None:
    assert [percent_words(rate) for rate in (7_000, 1_250, 5, 10_000)] == [
        "70 %", "12.5 %", "0.05 %", "100 %",
    ]  # fmt: skip


def _seen(found: Earning | None, right: int = 0, taken: int = 0, days: int = 10) -> MonthOf:
    return MonthOf(
        month=MONTH,
        now_ms=MONTH.begin_ms + days * DAY_MS,
        found=() if found is None else (found,),
        set_right=right,
        taken_back=taken,
        basis_points=7_000,
    )
