"""Nothing is read before its size is known to be bearable, and what is wrong is named."""

import zlib

import msgspec
import pytest

from protocol.packing import ENTRIES_MAX
from protocol.refusal import Refusal
from protocol.sync import LogBatch, SyncRequest
from protocol.wire import BODY_BYTES_MAX, PLAIN_BYTES_MAX, decode, decode_once, encode, pack, unpack


class Item(msgspec.Struct, frozen=True):
    """A value."""

    name: str
    counts: tuple[int, ...] = ()


def test_a_value_travels_there_and_back() -> None:
    item = Item("x", (1, 2))

    assert unpack(pack(item), Item) == item
    assert decode(encode(item), Item) == item


def test_fields_of_a_newer_peer_are_ignored() -> None:
    assert decode(b'{"name":"x","later":[{}]}', Item) == Item("x")


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b'{"name":1}', "$.name"),
        (b'{"name":"x","counts":[1,"2"]}', "$.counts[1]"),
        (b"{}", "name"),
        (b"[]", "object"),
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"NaN", "not JSON"),
        (b'{"name":"\xff"}', "not JSON"),
        (b"[" * 100_000, "object"),
    ],
)
def test_the_first_wrong_value_is_named(payload: bytes, says: str) -> None:
    with pytest.raises(Refusal) as refused:
        decode(payload, Item)

    assert (refused.value.code, refused.value.status) == ("malformed", 400)
    assert says in refused.value.message


def test_json_deeper_than_any_document_is_refused() -> None:
    with pytest.raises(Refusal, match="malformed"):
        decode(b"[" * 100_000, object)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not zlib",
        pack(Item("x"))[:-1],
        pack(Item("x")) + b"x",
        pack(Item("x")) + pack(Item("y")),
    ],
)
def test_a_body_cut_off_or_followed_by_more_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal, match="malformed"):
        unpack(body, Item)


def test_a_body_over_its_limit_is_refused_unread() -> None:
    with pytest.raises(Refusal) as refused:
        unpack(bytes(BODY_BYTES_MAX + 1), Item)

    assert (refused.value.code, refused.value.status) == ("body_too_large", 413)


def test_a_bomb_is_refused_when_it_has_grown_too_large() -> None:
    bomb = zlib.compress(bytes(PLAIN_BYTES_MAX + 1), 9)
    assert len(bomb) < BODY_BYTES_MAX

    with pytest.raises(Refusal, match="body_too_large"):
        unpack(bomb, Item)


NONE = {"count": 0, "runs": [], "others": []}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"entries": NONE | {"count": ENTRIES_MAX + 1}}, "$.entries.count"),
        ({"entries": NONE | {"others": [[0, "eA=="]] * (ENTRIES_MAX + 1)}}, "$.entries.others"),
        ({"entries": NONE | {"others": [[0, "eHh4" * 2000]]}}, "$.entries.others[0][1]"),
        ({"entries": NONE | {"runs": [{}]}}, "$.entries.runs[0]"),
        ({"begin": -1}, "$.begin"),
        ({"begin": 2**63}, "$.begin"),
        ({"begin": 1.5}, "$.begin"),
        ({"begin": True}, "$.begin"),
        ({"epoch": None}, "$.epoch"),
        ({"checkpoint": "x" * 8193}, "$.checkpoint"),
    ],
)
def test_a_batch_out_of_bounds_is_refused_with_its_path(
    change: dict[str, object], path: str
) -> None:
    batch = {"epoch": 0, "begin": 0, "entries": NONE, "checkpoint": ""} | change

    with pytest.raises(Refusal) as refused:
        decode(encode(batch), LogBatch)

    assert f"`{path}`" in refused.value.message


def test_a_request_without_its_fields_is_refused() -> None:
    with pytest.raises(Refusal, match="malformed"):
        unpack(zlib.compress(b"{}"), SyncRequest)


@pytest.mark.parametrize(
    "body", [b'{"a":1,"a":2}', b'[{"b":{"a":1,"a":1}}]', b'{"a":1,"\\u0061":2}']
)
def test_attack_28_a_field_that_stands_twice_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal, match="twice"):
        decode_once(body, object)


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff"])
def test_attack_28_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        decode_once(body, object)

    assert refused.value.status == 400


def test_what_stands_once_is_read() -> None:
    assert decode_once(b'{"a":[{"a":1},{"a":2}]}', dict) == {"a": [{"a": 1}, {"a": 2}]}
