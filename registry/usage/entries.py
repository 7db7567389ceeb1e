"""The bytes of a batch into entries.

Most entries are `use` records of one fixed form, so one regular expression reads a whole batch and
proves the form canonical as it goes; whatever it does not know is read, or refused by name, by
`protocol.usage.read_entry`, which also decides wherever a value looks wrong.
"""

import re
from collections.abc import Sequence

from protocol.canonical import INTEGER_LIMIT, TEXT
from protocol.clock import HOUR_MS
from protocol.refusal import LogRefused
from protocol.usage import COUNT_MAX, INTERVAL_MS_MAX, METERS, Entry, Use, read_entry

COUNT = "0|[1-9][0-9]{0,15}"
METER = "|".join(re.escape(meter) for meter in sorted(METERS))
LINE_PATTERN = re.compile(
    rf'^(?:\{{"alc":"({TEXT})","cum":({COUNT}),"k":"use","lse":({COUNT}),"m":"({METER})",'
    rf'"prj":"({TEXT})","q":({COUNT}),"sku":"({TEXT})","t0":({COUNT}),"t1":({COUNT}),'
    rf'"ten":"({TEXT})","v":1\}}|.*)$',
    re.MULTILINE,
)


def read_entries(raw: Sequence[str], *, first_index: int) -> list[Entry]:
    """Return the entries of a batch; the first that breaks a rule is refused with its index."""
    lines = LINE_PATTERN.findall("\n".join(raw))
    if len(lines) != len(raw):
        # An entry with a line break in it: none of that kind is canonical, so one by one.
        return [_entry(entry, first_index + at) for at, entry in enumerate(raw)]
    return [_use(line) or _entry(raw[at], first_index + at) for at, line in enumerate(lines)]


def _use(line: tuple[str, ...]) -> Use | None:
    """Return the record a line spells, or None where it is of another form or looks wrong."""
    owner, cumulative, lease, meter, project, quantity, sku, begin, end, tenant = line
    if not owner:
        return None
    begin_ms, end_ms, count, total = int(begin), int(end), int(quantity), int(cumulative)
    lease_id = int(lease)
    right = (
        0 < end_ms - begin_ms <= INTERVAL_MS_MAX
        and begin_ms // HOUR_MS == (end_ms - 1) // HOUR_MS
        and count <= total < INTEGER_LIMIT
        and count <= COUNT_MAX
        and end_ms < INTEGER_LIMIT
        and lease_id < INTEGER_LIMIT
    )
    if not right:
        return None
    return Use(owner, tenant, project, sku, meter, lease_id, begin_ms, end_ms, count, total)


def _entry(raw: str, index: int) -> Entry:
    try:
        return read_entry(raw.encode("utf-8", "surrogatepass"))
    except LogRefused as refused:
        raise LogRefused(refused.code, refused.message, index=index) from None
