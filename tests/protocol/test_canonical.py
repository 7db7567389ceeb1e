"""One record has one spelling, and no other is read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.canonical import FIELDS_MAX, INTEGER_LIMIT, canonical, read_canonical
from protocol.refusal import LogRefused

names = st.text(
    "".join(chr(c) for c in range(0x20, 0x7F) if chr(c) not in '"\\'), min_size=1, max_size=20
)
records = st.dictionaries(
    names,
    st.integers(1 - INTEGER_LIMIT, INTEGER_LIMIT - 1) | names,
    min_size=1,
    max_size=12,
)


@given(records)
def test_a_record_is_read_back_as_it_was_written(record: dict[str, int | str]) -> None:
    assert read_canonical(canonical(record)) == record


@given(records)
def test_the_spelling_is_sorted_compact_json(record: dict[str, int | str]) -> None:
    spelled = canonical(record)

    assert json.loads(spelled) == record
    assert spelled == json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
    assert canonical(dict(reversed(record.items()))) == spelled


@given(st.binary(max_size=60) | records.map(canonical), st.integers(0, 59), st.binary(max_size=2))
def test_whatever_is_read_is_spelled_as_it_came(raw: bytes, at: int, put: bytes) -> None:
    changed = raw[:at] + put + raw[at + len(put) :]

    try:
        record = read_canonical(changed)
    except LogRefused:
        return

    assert canonical(record) == changed


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "entry_not_canonical"),
        (b"{}", "entry_not_canonical"),
        (b"[1]", "entry_not_canonical"),
        (b'{"a":1} ', "entry_not_canonical"),
        (b' {"a":1}', "entry_not_canonical"),
        (b'{"a": 1}', "entry_not_canonical"),
        (b'{"a":1,}', "entry_not_canonical"),
        (b'{"b":1,"a":1}', "entry_not_canonical"),
        (b'{"a":1,"a":1}', "entry_not_canonical"),
        (b'{"a":1,"a":2}', "entry_not_canonical"),
        (b'{"a":01}', "entry_not_canonical"),
        (b'{"a":-0}', "entry_not_canonical"),
        (b'{"a":+1}', "entry_not_canonical"),
        (b'{"a":1.0}', "entry_not_canonical"),
        (b'{"a":1e3}', "entry_not_canonical"),
        (b'{"a":NaN}', "entry_not_canonical"),
        (b'{"a":true}', "entry_not_canonical"),
        (b'{"a":null}', "entry_not_canonical"),
        (b'{"a":{"b":1}}', "entry_not_canonical"),
        (b'{"a":[1]}', "entry_not_canonical"),
        (b'{"a":""}', "entry_not_canonical"),
        (b'{"":1}', "entry_not_canonical"),
        (b'{"a":"\\u0041"}', "entry_not_canonical"),
        (b'{"a":"\n"}', "entry_not_canonical"),
        (b'{"a":"\x7f"}', "entry_not_canonical"),
        (b'{"a":"\x00"}', "entry_not_canonical"),
        ('{"a":"é"}'.encode(), "entry_not_canonical"),
        ('{"a":٣}'.encode(), "entry_not_canonical"),
        (b'{"a":"\xff"}', "entry_not_canonical"),
        (b'\xef\xbb\xbf{"a":1}', "entry_not_canonical"),
        (b'{"a":"' + b"x" * 65 + b'"}', "entry_not_canonical"),
        (b'{"a":9007199254740992}', "entry_out_of_range"),
        (b'{"a":-9007199254740992}', "entry_out_of_range"),
        (b'{"a":99999999999999999}', "entry_not_canonical"),
        (b'{"a":1' + b"0" * 1024 + b"}", "entry_too_large"),
    ],
)
def test_any_other_spelling_is_refused_by_name(raw: bytes, code: str) -> None:
    with pytest.raises(LogRefused) as refused:
        read_canonical(raw)

    assert refused.value.code == code


@pytest.mark.parametrize("value", [INTEGER_LIMIT - 1, 1 - INTEGER_LIMIT, 0, "x" * 64, " "])
def test_values_at_their_bounds_are_read(value: int | str) -> None:
    assert read_canonical(canonical({"a": value})) == {"a": value}


def test_a_record_has_at_most_so_many_fields() -> None:
    fields = [f'"{at:03d}":1' for at in range(FIELDS_MAX + 1)]

    read_canonical(("{" + ",".join(fields[:-1]) + "}").encode())
    with pytest.raises(LogRefused, match="entry_not_canonical"):
        read_canonical(("{" + ",".join(fields) + "}").encode())


@pytest.mark.parametrize("value", [INTEGER_LIMIT, "", 'quo"te', "back\\slash", "é", "x" * 65])
def test_a_value_out_of_bounds_is_a_bug_of_its_writer(value: int | str) -> None:
    with pytest.raises(AssertionError):
        canonical({"a": value})
