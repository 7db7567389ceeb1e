"""Figures as people read them: pure filters used by the pages of both programs.

Money is cut to whole cents, never rounded up, and shown in full where a cent is too coarse.
Times leave here as UTC; the page's script turns them into the reader's own zone. The one place
where `datetime` is used.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from markupsafe import Markup, escape

CENT_MICROS = 10_000
UNIT_MICROS = 1_000_000
CENT_DECIMALS = 2

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

AT_MS_MIN = -62_135_596_800_000
AT_MS_MAX = 253_402_300_799_999
"""The years 1 to 9999."""

MINUS = "\u2212"
NARROW_SPACE = "\u00a0"
ABSENT = "\u2013"

_SIZE_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")

SHORT_ID_HEAD = 10
SHORT_ID_TAIL = 4


def money(micros: int | None, symbol: str = "$") -> str:
    """Return an amount in whole cents, cut towards zero; below one cent every digit is shown."""
    if micros is None:
        return ABSENT
    if 0 < abs(micros) < CENT_MICROS:
        return money_exact(micros, symbol)
    return money_column(micros, CENT_DECIMALS, symbol)


def money_exact(micros: int | None, symbol: str = "$") -> str:
    """Return an amount with every digit it has, two at least: "$0.000123", "$3.70"."""
    if micros is None:
        return ABSENT
    units, rest = divmod(abs(micros), UNIT_MICROS)
    digits = f"{rest:06d}".rstrip("0").ljust(2, "0")
    sign = MINUS if micros < 0 else ""
    return f"{sign}{symbol}{units:,}.{digits}"


def money_figure(micros: int | None, symbol: str = "$") -> str:
    """Return an amount as a figure of a strip: always in cents, and "<$0.01" for what is less."""
    if micros is not None and 0 < micros < CENT_MICROS:
        return f"<{symbol}0.01"
    return money_column(micros, CENT_DECIMALS, symbol)


def money_decimals(amounts: Iterable[int]) -> int:
    """Return how many decimals tell all amounts of a column in full; two at least."""
    ends = (len(f"{abs(micros) % UNIT_MICROS:06d}".rstrip("0")) for micros in amounts)
    return max((CENT_DECIMALS, *ends))


def money_column(micros: int | None, decimals: int, symbol: str = "$") -> str:
    """Return an amount with so many decimals, as every other of its column: they line up."""
    if micros is None:
        return ABSENT
    units, rest = divmod(abs(micros), UNIT_MICROS)
    sign = MINUS if micros < 0 else ""
    return f"{sign}{symbol}{units:,}.{f'{rest:06d}'[:decimals]}"


def count(value: int | None) -> str:
    """Return a whole number with its thousands set apart: "12,345"."""
    return ABSENT if value is None else f"{value:,}".replace("-", MINUS)


def plural(value: int, one: str, many: str = "") -> str:
    """Return the number with its noun: "1 node", "2 nodes"."""
    return f"{value:,}{NARROW_SPACE}{one if value == 1 else many or one + 's'}"


def size(octets: int | None) -> str:
    """Return a number of bytes in the largest binary unit that keeps it at one or more."""
    if octets is None:
        return ABSENT
    if octets < 1024:
        return f"{octets} B"
    steps = min((octets.bit_length() - 1) // 10, len(_SIZE_UNITS))
    value, unit = octets * 10 >> 10 * steps, _SIZE_UNITS[steps - 1]
    whole, tenth = divmod(value, 10)
    return f"{whole:,} {unit}" if whole >= 100 or tenth == 0 else f"{whole}.{tenth} {unit}"


def memory(mebibytes: int | None) -> str:
    """Return an amount of memory given in MiB: "80 GiB"."""
    return ABSENT if mebibytes is None else size(mebibytes * 1024 * 1024)


def vcpus(milli: int) -> str:
    """Return processors given in thousandths: "16 vCPU", "0.5 vCPU"."""
    whole, rest = divmod(milli, 1000)
    return f"{whole:,}{f'.{rest:03d}'.rstrip('0') if rest else ''} vCPU"


def power(watts: int | None) -> str:
    """Return watts as "700 W" or, from one kilowatt on, "2.5 kW"."""
    if watts is None:
        return ABSENT
    if watts < 1000:
        return f"{watts} W"
    whole, tenth = divmod(watts // 100, 10)
    return f"{whole:,}.{tenth} kW"


AGES_MS = 3_650 * DAY_MS
"""From here on a span says nothing to anybody: a balance against a trickle of calls."""


def duration(milliseconds: int | None) -> str:
    """Return a span in its two largest units: "4 s", "1 h 43 min", "2 d 3 h"."""
    if milliseconds is None:
        return ABSENT
    span = abs(milliseconds)
    if span < SECOND_MS:
        text = f"{span} ms" if span else "0 s"
    elif span < MINUTE_MS:
        text = f"{span // SECOND_MS} s"
    elif span < HOUR_MS:
        text = _two(span, MINUTE_MS, "min", SECOND_MS, "s", small_until=10)
    elif span < DAY_MS:
        text = _two(span, HOUR_MS, "h", MINUTE_MS, "min")
    elif span < AGES_MS:
        text = _two(span, DAY_MS, "d", HOUR_MS, "h", small_until=10)
    else:
        text = "over 10 years"
    return f"{MINUS}{text}" if milliseconds < 0 else text


def ago(at_ms: int | None, now_ms: int) -> str:
    """Return how long ago something was: "4 s ago", "in 2 min", "now", "never"."""
    if at_ms is None:
        return "never"
    span = now_ms - at_ms
    if abs(span) < SECOND_MS:
        return "now"
    return f"{duration(span)} ago" if span > 0 else f"in {duration(-span)}"


def since(at_ms: int | None, now_ms: int) -> str:
    """Return for how long something has been so: "3 h"; a dash when it never was."""
    return ABSENT if at_ms is None else duration(max(now_ms - at_ms, 0))


def until(at_ms: int, now_ms: int) -> str:
    """Return how long it takes until a moment: "26 min"; "now" when it has passed."""
    return "now" if at_ms <= now_ms else duration(at_ms - now_ms)


def utc_iso(at_ms: int) -> str:
    """Return a moment for `<time datetime>`: "2026-11-20T15:38:00.000Z"."""
    whole = _utc(at_ms).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{at_ms % SECOND_MS:03d}Z"


def utc_date(at_ms: int) -> str:
    """Return the day: "20 Nov 2026"."""
    return f"{_utc(at_ms):%-d %b %Y}"


def utc_month(at_ms: int) -> str:
    """Return the month: "November 2026"."""
    return f"{_utc(at_ms):%B %Y}"


def utc_clock(at_ms: int) -> str:
    """Return the time of day with its zone: "15:38:07 UTC"."""
    return f"{_utc(at_ms):%H:%M:%S} UTC"


def utc_minute(at_ms: int) -> str:
    """Return the time of day without seconds: "15:38 UTC"."""
    return f"{_utc(at_ms):%H:%M} UTC"


def utc_second(at_ms: int) -> str:
    """Return day and time to the second: "20 Nov 2026, 15:38:07 UTC"."""
    return f"{_utc(at_ms):%-d %b %Y, %H:%M:%S} UTC"


def utc_time(at_ms: int) -> str:
    """Return day and time with their zone: "20 Nov 2026, 15:38 UTC"."""
    return f"{_utc(at_ms):%-d %b %Y, %H:%M} UTC"


def short_id(text: str) -> str:
    """Return an id short enough for a table: its head, a dash of dots, its tail."""
    if len(text) <= SHORT_ID_HEAD + SHORT_ID_TAIL + 1:
        return text
    return f"{text[:SHORT_ID_HEAD]}…{text[-SHORT_ID_TAIL:]}"


def prose(text: str) -> Markup:
    """Return a sentence as a page shows it: what stands between backticks is code."""
    plain, *rest = str(escape(text)).split("`")
    if len(rest) % 2:
        return Markup(escape(text))  # escaped; an odd backtick opens nothing
    spans = [f"<code>{one}</code>" if at % 2 == 0 else one for at, one in enumerate(rest)]
    return Markup(plain + "".join(spans))  # every part was escaped before


def quantity(value: int | None, meter: str) -> str:
    """Return an amount of a meter of the usage log with its unit: "2 h GPU time"."""
    if value is None:
        return ABSENT
    if meter in _METERS:
        return _METERS[meter](value)
    return f"{value:,} {meter}".rstrip()


def meter_name(meter: str) -> str:
    """Return what a meter counts: "GPU time"."""
    return _METER_NAMES.get(meter, meter)


def _gpu_time(milliseconds: int) -> str:
    if milliseconds % SECOND_MS and milliseconds < MINUTE_MS:
        seconds, rest = divmod(milliseconds, SECOND_MS)
        return f"{seconds}.{rest:03d} s GPU time"
    return f"{duration(milliseconds)} GPU time"


def _stored(mebibyte_seconds: int) -> str:
    return f"{mebibyte_seconds // 3600:,} MiB h stored"


def _energy(millijoules: int) -> str:
    return f"{millijoules // 3_600_000:,} Wh"


def _counted(one: str, many: str) -> Callable[[int], str]:
    return lambda value: f"{value:,} {one if value == 1 else many}"


_METERS: dict[str, Callable[[int], str]] = {
    "gpu.ms": _gpu_time,
    "tok.in": _counted("token in", "tokens in"),
    "tok.cached": _counted("cached token in", "cached tokens in"),
    "tok.out": _counted("token out", "tokens out"),
    "img": _counted("image", "images"),
    "req": _counted("request", "requests"),
    "sto.mib_s": _stored,
    "net.out_b": lambda value: f"{size(value)} sent",
    "en.mj": _energy,
}

_METER_NAMES = {
    "gpu.ms": "GPU time",
    "tok.in": "Tokens in",
    "tok.cached": "Cached tokens in",
    "tok.out": "Tokens out",
    "img": "Images",
    "req": "Requests",
    "sto.mib_s": "Storage",
    "net.out_b": "Data sent",
    "en.mj": "Energy",
}


def _two(
    span: int, large_ms: int, large: str, small_ms: int, small: str, *, small_until: int = 10**9
) -> str:
    """Return large and small unit; the small one is left out when zero or of no weight."""
    whole, rest = divmod(span, large_ms)
    part = rest // small_ms
    if part == 0 or whole >= small_until:
        return f"{whole:,} {large}"
    return f"{whole:,} {large} {part} {small}"


def _utc(at_ms: int) -> datetime:
    """Return the moment; one that no calendar knows becomes the first or the last it knows."""
    return datetime.fromtimestamp(min(max(at_ms, AT_MS_MIN), AT_MS_MAX) // SECOND_MS, UTC)


FILTERS: dict[str, Callable[..., str | int]] = {
    "money": money,
    "money_figure": money_figure,
    "money_decimals": money_decimals,
    "money_column": money_column,
    "money_exact": money_exact,
    "count": count,
    "plural": plural,
    "size": size,
    "memory": memory,
    "power": power,
    "vcpus": vcpus,
    "duration": duration,
    "ago": ago,
    "since": since,
    "until": until,
    "utc_iso": utc_iso,
    "utc_date": utc_date,
    "utc_month": utc_month,
    "utc_clock": utc_clock,
    "utc_minute": utc_minute,
    "utc_second": utc_second,
    "utc_time": utc_time,
    "short_id": short_id,
    "prose": prose,
    "quantity": quantity,
    "meter_name": meter_name,
}
