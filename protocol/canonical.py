"""The one byte form of a usage entry: what is hashed, signed, stored and shipped.

A flat object in the form of RFC 8785 (JCS), narrowed so that only one reading exists: values are
integers |n| < 2^53 or strings of 1 to 64 printable ASCII characters without `"` and `\\`; names
are such strings too, sorted, each once.  Within these bounds JCS and plain sorted JSON agree.
"""

import itertools
import json
import re
from collections.abc import Mapping

from protocol.refusal import LogRefused

Record = Mapping[str, int | str]

INTEGER_LIMIT = 2**53
STRING_BYTES_MAX = 64
ENTRY_BYTES_MAX = 1024
FIELDS_MAX = 32

TEXT = r"[ !#-\[\]-~]{1,64}"
INTEGER = r"(?:0|-?[1-9][0-9]{0,15})"
TEXTS_PATTERN = re.compile(rf"{TEXT}(?:\n{TEXT})*")
FIELD = rf'"{TEXT}":(?:"{TEXT}"|{INTEGER})'
ENTRY_PATTERN = re.compile(rf"\{{{FIELD}(?:,{FIELD}){{0,{FIELDS_MAX - 1}}}\}}")


def canonical(record: Record) -> bytes:
    """Return the canonical bytes of a record; a value out of bounds is a bug of the writer."""
    fields, texts = [], list(record)
    for name in sorted(record):
        value = record[name]
        if isinstance(value, str):
            texts.append(value)
            fields.append(f'"{name}":"{value}"')
        else:
            assert type(value) is int, (name, value)
            assert -INTEGER_LIMIT < value < INTEGER_LIMIT, (name, value)
            fields.append(f'"{name}":{value}')
    # A line break is in no text, so that one match looks at all of them.
    assert TEXTS_PATTERN.fullmatch("\n".join(texts)), texts
    entry = f"{{{','.join(fields)}}}".encode("ascii")
    assert len(entry) <= ENTRY_BYTES_MAX
    return entry


def read_canonical(entry: bytes) -> dict[str, int | str]:
    """Return the record that canonical bytes spell; refuse any other spelling by name."""
    if len(entry) > ENTRY_BYTES_MAX:
        raise LogRefused("entry_too_large", f"An entry has {len(entry)} bytes.")
    try:
        text = entry.decode("ascii")
    except UnicodeDecodeError:
        raise LogRefused("entry_not_canonical", "An entry has bytes outside ASCII.") from None
    if ENTRY_PATTERN.fullmatch(text) is None:
        raise LogRefused("entry_not_canonical", "An entry is not in the canonical form.")
    pairs: list[tuple[str, int | str]] = json.loads(text, object_pairs_hook=list)
    names = [name for name, _ in pairs]
    if any(before >= after for before, after in itertools.pairwise(names)):
        raise LogRefused("entry_not_canonical", "An entry has fields out of order or twice.")
    record = dict(pairs)
    for name, value in record.items():
        if isinstance(value, int) and not -INTEGER_LIMIT < value < INTEGER_LIMIT:
            raise LogRefused("entry_out_of_range", f"{name}: an integer of 2^53 or more.")
    return record
