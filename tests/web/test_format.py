"""Figures as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web import format as show

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
NOW_MS = 1_795_173_420_123


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Run `docker info` first.", "Run <code>docker info</code> first."),
        ("`a` and `b`", "<code>a</code> and <code>b</code>"),
        ("an odd ` stays", "an odd ` stays"),
        ("<b>`<i>`</b>", "&lt;b&gt;<code>&lt;i&gt;</code>&lt;/b&gt;"),
    ],
)
def test_what_stands_between_backticks_is_shown_as_code(text: str, shown: str) -> None:
    assert str(show.prose(text)) == shown


@given(st.text(alphabet="<>&\"'`ab", max_size=40))
def test_no_sentence_brings_markup_of_its_own(text: str) -> None:
    bare = str(show.prose(text)).replace("<code>", "").replace("</code>", "")

    assert not set("<>\"'") & set(bare)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "$0.00"),
        (1_284_200_000, "$1,284.20"),
        (123, "$0.000123"),
        (9_999, "$0.009999"),
        (10_001, "$0.01"),
        (6_419_999, "$6.41"),
        (-4_200_000, "\u2212$4.20"),
        (None, "\u2013"),
    ],
)
def test_money_is_cut_to_cents_and_exact_below_one(micros: int | None, text: str) -> None:
    assert show.money(micros) == text


@given(st.integers(-(2**53), 2**53))
def test_money_is_never_shown_as_more_than_it_is(micros: int) -> None:
    shown = show.money(micros).replace("$", "").replace(",", "").replace("\u2212", "-")

    units, _, digits = shown.lstrip("-").partition(".")
    assert int(units) * 1_000_000 + int(digits.ljust(6, "0")) <= abs(micros)


@given(st.integers(-(2**53), 2**53))
def test_exact_money_loses_no_digit(micros: int) -> None:
    shown = show.money_exact(micros).replace("$", "").replace(",", "").replace("\u2212", "-")

    units, _, digits = shown.lstrip("-").partition(".")
    assert int(units) * 1_000_000 + int(digits.ljust(6, "0")) == abs(micros)
    assert shown.startswith("-") == (micros < 0)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0 s"),
        (120, "120 ms"),
        (4_000, "4 s"),
        (61_000, "1 min 1 s"),
        (26 * MINUTE_MS + 5_000, "26 min"),
        (103 * MINUTE_MS, "1 h 43 min"),
        (2 * DAY_MS + 3 * HOUR_MS, "2 d 3 h"),
        (41 * DAY_MS + HOUR_MS, "41 d"),
        (154_301 * DAY_MS, "over 10 years"),
        (None, "\u2013"),
    ],
)
def test_a_duration_has_its_two_largest_units(milliseconds: int | None, text: str) -> None:
    assert show.duration(milliseconds) == text


def test_ages_look_back_and_ahead() -> None:
    assert show.ago(NOW_MS - 4_000, NOW_MS) == "4 s ago"
    assert show.ago(NOW_MS - 300, NOW_MS) == "now"
    assert show.ago(NOW_MS + 2 * MINUTE_MS, NOW_MS) == "in 2 min"
    assert show.ago(None, NOW_MS) == "never"
    assert show.since(NOW_MS - 3 * HOUR_MS, NOW_MS) == "3 h"
    assert show.until(NOW_MS - 1, NOW_MS) == "now"


@pytest.mark.parametrize(
    ("milli", "text"),
    [(500, "0.5 vCPU"), (7_250, "7.25 vCPU"), (16_000, "16 vCPU"), (1, "0.001 vCPU")],
)
def test_parts_of_a_processor_are_not_cut_to_none(milli: int, text: str) -> None:
    assert show.vcpus(milli) == text


def test_moments_leave_as_utc_with_their_zone() -> None:
    assert show.utc_iso(NOW_MS) == "2026-11-20T11:17:00.123Z"
    assert show.utc_clock(NOW_MS) == "11:17:00 UTC"
    assert show.utc_minute(NOW_MS) == "11:17 UTC"
    assert show.utc_time(NOW_MS) == "20 Nov 2026, 11:17 UTC"
    assert show.utc_second(NOW_MS) == "20 Nov 2026, 11:17:00 UTC"
    assert show.utc_date(NOW_MS) == "20 Nov 2026"


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1,023 KiB"),
        (80 * 1024**3, "80 GiB"),
        (3 * 1024**6, "3,072 PiB"),
    ],
)
def test_sizes_use_the_largest_unit_that_fits(octets: int, text: str) -> None:
    assert show.size(octets) == text


@pytest.mark.parametrize(
    ("value", "meter", "text"),
    [
        (7_200_000, "gpu.ms", "2 h GPU time"),
        (1_500, "gpu.ms", "1.500 s GPU time"),
        (1, "tok.out", "1 token out"),
        (12_345, "tok.in", "12,345 tokens in"),
        (1024, "net.out_b", "1 KiB sent"),
        (7_200_000, "en.mj", "2 Wh"),
        (5, "new.meter", "5 new.meter"),
        (None, "gpu.ms", "\u2013"),
    ],
)
def test_quantities_carry_their_unit(value: int | None, meter: str, text: str) -> None:
    assert show.quantity(value, meter) == text


def test_watts_become_kilowatts_from_one_on() -> None:
    assert show.power(999) == "999 W"
    assert show.power(71_400) == "71.4 kW"


def test_numbers_agree_with_their_noun() -> None:
    assert show.plural(1, "node") == "1\u00a0node"
    assert show.plural(2, "node") == "2\u00a0nodes"
    assert show.plural(2, "field needs", "fields need") == "2\u00a0fields need"


@given(st.text(max_size=300))
def test_a_short_id_is_short_and_keeps_its_ends(text: str) -> None:
    short = show.short_id(text)

    assert len(short) <= 15
    assert text.startswith(short.split("…")[0]) or "…" in text


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "$0.00"),
        (5_599, "<$0.01"),
        (9_999, "<$0.01"),
        (10_000, "$0.01"),
        (20_001, "$0.02"),
        (-4_200_000, "\u2212$4.20"),
        (None, "\u2013"),
    ],
)
def test_a_figure_of_a_strip_keeps_its_shape(micros: int | None, text: str) -> None:
    assert show.money_figure(micros) == text


@given(st.lists(st.integers(-(2**53), 2**53), min_size=1))
def test_amounts_of_a_column_line_up_and_lose_nothing(amounts: list[int]) -> None:
    decimals = show.money_decimals(amounts)

    shown = [show.money_column(micros, decimals) for micros in amounts]

    assert {len(one.partition(".")[2]) for one in shown} == {decimals}
    for micros, one in zip(amounts, shown, strict=True):
        plain = one.replace("$", "").replace(",", "").replace("\u2212", "-")
        units, _, digits = plain.lstrip("-").partition(".")
        assert int(units) * 1_000_000 + int(digits.ljust(6, "0")) == abs(micros)


@given(st.integers())
def test_every_moment_can_be_shown(at_ms: int) -> None:
    names = ("utc_iso", "utc_date", "utc_clock", "utc_minute", "utc_second", "utc_time")
    for name in names:
        assert getattr(show, name)(at_ms)
