"""What an entry says, and the rules it keeps by itself."""

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.canonical import canonical
from protocol.log_events import (
    EVERYTHING,
    Adjusted,
    EpochBegun,
    Gap,
    KeyChanged,
    Session,
    origin_parts,
)
from protocol.note import TYPE_ED25519, note_key_id, read_verifier_key
from protocol.refusal import LogRefused
from protocol.usage import (
    METERS,
    Closed,
    Entry,
    Heartbeat,
    LeaseClosed,
    Opened,
    Use,
    entry_bytes,
    read_entry,
)

HOUR_MS = 3_600_000
texts = st.text("abcXYZ0189_.-", min_size=1, max_size=64)
counts = st.integers(0, 2**53 - 1)
USE = Use("a_1", "t_1", "p_1", "h200.1x", "gpu.ms", 48_211, 60_000, 120_000, 60_000, 7_200_000)
SESSION = Session("a_1", "t_1", "p_1", "u_1", "ssh", "relay", 5, 9, 10, 20, "client_left")
KEY = KeyChanged("0a1b2c3d", "AQ" + "A" * 42, 5)
ADJUSTED = Adjusted("a_1", "t_1", "p_1", "h200.1x", "gpu.ms", -500, 7, "counted_twice", 9)
GAP = Gap("a_1", 5, 9, "disk_full")
EPOCH = EpochBegun(1, ("registry.example/log/n_1/0",), 9, "A" * 43 + "=", 5)
OPENED = Opened("a_1", "t_1", "p_1", "h200.1x", 5, "boot", "c0ffee", ("GPU-1", "GPU-2"))


@st.composite
def uses(draw: st.DrawFn) -> Use:
    hour, begin = draw(st.integers(0, 10**6)), draw(st.integers(0, HOUR_MS - 1))
    width = draw(st.integers(1, min(300_000, HOUR_MS - begin)))
    cumulative = draw(counts)
    return Use(
        allocation_id=draw(texts),
        tenant_id=draw(texts),
        project_id=draw(texts),
        sku=draw(texts),
        meter=draw(st.sampled_from(sorted(METERS))),
        lease_id=draw(counts),
        begin_ms=hour * HOUR_MS + begin,
        end_ms=hour * HOUR_MS + begin + width,
        quantity=draw(st.integers(0, cumulative)),
        cumulative=cumulative,
    )


entries = st.one_of(
    uses(),
    st.builds(
        Opened,
        texts, texts, texts, texts, counts, texts, texts,
        st.lists(texts, max_size=16, unique=True).map(tuple),
    ),
    st.builds(Closed, texts, counts, texts),
    st.builds(LeaseClosed, counts, texts, counts, counts, texts),
    st.builds(Heartbeat, counts, counts, st.integers(-(2**52), 2**52)),
    st.builds(
        Session,
        texts, texts, texts, texts,
        st.sampled_from(["terminal", "ssh", "storage"]),
        st.sampled_from(["direct", "site", "relay"]),
        st.integers(0, 10**6), st.integers(10**6, 10**9), counts, counts, texts,
    ),
    st.builds(
        Adjusted,
        texts, texts, texts, texts,
        st.sampled_from(sorted(METERS)),
        st.integers(-(10**9), 10**9).filter(bool),
        counts, texts, counts,
    ),
    st.builds(
        Gap, st.one_of(st.just(EVERYTHING), texts), st.integers(0, 9), st.integers(10, 99), texts
    ),
    st.builds(
        EpochBegun,
        st.integers(1, 99), st.lists(texts, min_size=1, max_size=6).map(tuple), counts,
        st.just(EPOCH.root), counts,
    ),
)  # fmt: skip


@given(entries)
def test_an_entry_is_read_back_as_it_was_written(entry: Entry) -> None:
    assert read_entry(entry_bytes(entry)) == entry


def test_a_use_has_the_form_of_the_design() -> None:
    assert entry_bytes(USE) == (
        b'{"alc":"a_1","cum":7200000,"k":"use","lse":48211,"m":"gpu.ms","prj":"p_1","q":60000,'
        b'"sku":"h200.1x","t0":60000,"t1":120000,"ten":"t_1","v":1}'
    )


def test_an_opening_names_each_accelerator() -> None:
    assert b'"g0":"GPU-1","g1":"GPU-2"' in entry_bytes(OPENED)
    assert b'"n":2' in entry_bytes(OPENED)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("entry_unknown_version", {"v": 2}),
        ("entry_unknown_version", {"v": "1"}),
        ("entry_unknown_version", {"v": None}),
        ("entry_unknown_kind", {"k": "adjust"}),
        ("entry_unknown_kind", {"k": 1}),
        ("entry_unknown_kind", {"k": None}),
        ("entry_malformed", {"alc": 5}),
        ("entry_malformed", {"q": "5"}),
        ("entry_malformed", {"q": None}),
        ("entry_malformed", {"ten": None}),
        ("entry_malformed", {"extra": 1}),
        ("entry_negative", {"q": -1}),
        ("entry_negative", {"lse": -1}),
        ("entry_negative", {"cum": -1}),
        ("meter_unknown", {"m": "gpu.s"}),
        ("interval_wrong", {"t1": 60_000}),
        ("interval_wrong", {"t1": 59_999}),
        ("interval_wrong", {"t1": 360_001}),
        ("interval_over_hour", {"t0": HOUR_MS - 1, "t1": HOUR_MS + 1}),
        ("cumulative_wrong", {"cum": 59_999}),
    ],
)
def test_a_use_that_breaks_a_rule_is_refused_by_name(
    code: str, change: dict[str, int | str | None]
) -> None:
    assert _refused(USE, change) == code


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("accelerator_twice", {"g1": "GPU-1"}),
        ("entry_malformed", {"n": 17}),
        ("entry_malformed", {"n": 3}),
        ("entry_malformed", {"n": 1}),
        ("entry_malformed", {"g1": None}),
        ("entry_negative", {"n": -1}),
        ("entry_negative", {"t": -1}),
    ],
)
def test_an_opening_that_breaks_a_rule_is_refused_by_name(
    code: str, change: dict[str, int | str | None]
) -> None:
    assert _refused(OPENED, change) == code


@pytest.mark.parametrize(
    ("entry", "change"),
    [
        (Closed("a_1", 5, "release"), {"r": None}),
        (LeaseClosed(5, "t_1", 5, 5, "spent"), {"amt": "5"}),
        (Heartbeat(5, 5, 5), {"skew": "5"}),
        (Heartbeat(5, 5, 5), {"bt": None}),
    ],
)
def test_other_kinds_are_refused_when_a_field_is_missing_or_of_another_type(
    entry: Entry, change: dict[str, int | str | None]
) -> None:
    assert _refused(entry, change) == "entry_malformed"


@pytest.mark.parametrize(
    ("code", "entry", "change"),
    [
        ("session_unknown", SESSION, {"via": "telnet"}),
        ("session_unknown", SESSION, {"path": "pigeon"}),
        ("interval_wrong", SESSION, {"t1": 4}),
        ("entry_negative", SESSION, {"in": -1}),
        ("entry_malformed", SESSION, {"who": None}),
        ("key_unreadable", KEY, {"pk": "AQ" + "A" * 41}),
        ("key_unreadable", KEY, {"pk": "BA" + "A" * 42}),
        ("key_unreadable", KEY, {"id": "0A1B2C3D"}),
        ("quantity_implausible", ADJUSTED, {"q": 0}),
        ("quantity_implausible", ADJUSTED, {"q": -(10**9) - 1}),
        ("meter_unknown", ADJUSTED, {"m": "gpu.s"}),
        ("entry_negative", ADJUSTED, {"ref": -1}),
        ("entry_malformed", ADJUSTED, {"r": None}),
        ("interval_wrong", GAP, {"t1": 5}),
        ("entry_malformed", EPOCH, {"e": 0}),
        ("entry_malformed", EPOCH, {"c": 0, "o0": None}),
        ("entry_malformed", EPOCH, {"c": 7}),
        ("entry_malformed", EPOCH, {"root": "A" * 44}),
        ("rows_root_wrong", USE, {"det": "A" * 43 + "="}),
        ("rows_root_wrong", replace(USE, meter="req"), {"det": "A" * 43 + "B"}),
    ],
)
def test_the_rarer_kinds_are_refused_by_name(
    code: str, entry: Entry, change: dict[str, int | str | None]
) -> None:
    assert _refused(entry, change) == code


def test_a_record_of_calls_may_carry_the_root_over_their_rows() -> None:
    counted = replace(USE, meter="req", rows_root="A" * 43 + "=")

    assert b'"det":"AAAA' in entry_bytes(counted)
    assert read_entry(entry_bytes(counted)) == counted


def test_a_key_entry_spells_a_verifier_key_of_its_log() -> None:
    public_key = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    origin = "registry.example/log/n_1/0"
    entry = KeyChanged(
        note_key_id(origin, public_key, TYPE_ED25519).hex(),
        base64.b64encode(b"\x01" + public_key).decode(),
        5,
    )

    assert read_entry(entry_bytes(entry)) == entry
    assert read_verifier_key(entry.verifier_key(origin)) == (origin, TYPE_ED25519, public_key)


def test_an_epoch_names_an_origin_of_any_length() -> None:
    origin = "a" * 253 + "/log/n_1/0"

    begun = EpochBegun(1, origin_parts(origin), 9, EPOCH.root, 5)

    assert read_entry(entry_bytes(begun)) == begun
    assert begun.origin == origin


def test_an_interval_may_end_on_the_hour_and_last_five_minutes() -> None:
    edge = replace(USE, begin_ms=HOUR_MS - 300_000, end_ms=HOUR_MS)

    assert read_entry(entry_bytes(edge)) == edge


def _refused(entry: Entry, change: dict[str, int | str | None]) -> str:
    """The code by which the entry is refused with fields changed, or left out where None."""
    record: dict[str, int | str] = {}
    for part in entry_bytes(entry).decode()[1:-1].split(","):
        name, value = part.split(":", 1)
        record[name.strip('"')] = value.strip('"') if value.startswith('"') else int(value)
    for name, wanted in change.items():
        record.pop(name, None)
        if wanted is not None:
            record[name] = wanted
    with pytest.raises(LogRefused) as refused:
        read_entry(canonical(record))
    return refused.value.code
