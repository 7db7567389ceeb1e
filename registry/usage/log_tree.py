"""The tree over a usage log as it is kept: entries in bundles of 256, roots at every eighth level.

A bundle has the form of a C2SP tlog-tiles entry bundle: each entry after its length in two bytes.
Bundles that become whole together are sealed together, packed (`protocol/packing`) and compressed;
unpacked they are the same bytes again.
Roots are kept of perfect subtrees at levels 8, 16, 24, …; any other is folded from at most 128 of
those or from one bundle, so a proof costs the same however long the log is.
"""

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import msgspec

from protocol.canonical import ENTRY_BYTES_MAX
from protocol.merkle import (
    EMPTY_FRONTIER,
    Frontier,
    Subtree,
    leaf_hash,
    node_hash,
    perfect_root,
    root_of,
)
from protocol.packing import PackedEntries, Unpacked, unpacked_entries
from protocol.refusal import LogRefused

BUNDLE_LEVEL = 8
BUNDLE_ENTRIES = 1 << BUNDLE_LEVEL
LEVEL_STEP = 8
COMPRESSION = 3
LENGTH_BYTES = 2
_LENGTHS = tuple(struct.pack(">H", length) for length in range(ENTRY_BYTES_MAX + 1))
_PIECES = msgspec.json.Decoder(list[PackedEntries])


@dataclass(frozen=True, slots=True)
class SubtreeRoot:
    """The root over leaves [number << level, (number + 1) << level)."""

    level: int
    number: int
    root: bytes


def bundle_bytes(entries: Sequence[bytes]) -> bytes:
    """Return entries in the form of an entry bundle, not compressed."""
    lengths = map(_LENGTHS.__getitem__, map(len, entries))
    return b"".join(chain.from_iterable(zip(lengths, entries, strict=True)))


def read_bundle(bundle: bytes) -> list[bytes]:
    """Return the entries of a bundle; raise ValueError where it is cut off."""
    entries = []
    at, end = 0, len(bundle)
    while at < end:
        begin = at + LENGTH_BYTES
        if begin > end:
            raise ValueError("a bundle is cut off")
        at = begin + (bundle[at] << 8 | bundle[at + 1])
        entries.append(bundle[begin:at])
    if at > end:
        raise ValueError("a bundle is cut off")
    return entries


def sealed(pieces: Sequence[PackedEntries]) -> bytes:
    """Return whole bundles as they are stored, in pieces as they came."""
    assert sum(piece.count for piece in pieces) % BUNDLE_ENTRIES == 0
    return zlib.compress(msgspec.json.encode(pieces), COMPRESSION)


def unsealed(stored: bytes) -> list[PackedEntries]:
    """Return the pieces that were sealed; raise ValueError where they were damaged."""
    try:
        return _PIECES.decode(zlib.decompress(stored))
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError("a bundle is damaged") from error


def unpacked(piece: PackedEntries) -> Unpacked:
    """Return the entries of a piece; raise ValueError where it was damaged."""
    try:
        return unpacked_entries(piece)
    except LogRefused as refused:
        raise ValueError("a bundle is damaged") from refused


def grown(frontier: Frontier, entries: Sequence[bytes]) -> tuple[Frontier, tuple[SubtreeRoot, ...]]:
    """Return the frontier with the entries appended, and the roots to keep that became whole."""
    above = (frontier.size >> BUNDLE_LEVEL).bit_count()
    bundles = Frontier(frontier.size >> BUNDLE_LEVEL, frontier.roots[:above])
    tail = Frontier(frontier.size % BUNDLE_ENTRIES, frontier.roots[above:])
    roots: list[SubtreeRoot] = []
    at = 0
    while at < len(entries):
        step = entries[at : at + BUNDLE_ENTRIES - tail.size]
        at += len(step)
        if len(step) == BUNDLE_ENTRIES:
            bundles = _with_bundle(bundles, perfect_root(step), roots)
            continue
        tail = tail.extended(step)
        if tail.size == BUNDLE_ENTRIES:
            bundles = _with_bundle(bundles, tail.roots[0], roots)
            tail = EMPTY_FRONTIER
    size = bundles.size * BUNDLE_ENTRIES + tail.size
    return Frontier(size, bundles.roots + tail.roots), tuple(roots)


def subtrees(
    roots_between: Callable[[int, int, int], list[bytes]],
    bundle: Callable[[int], Sequence[bytes]],
) -> Subtree:
    """Return the lookup of perfect subtrees from what is kept.

    roots_between  the roots kept at a level, of numbers [first, last)
    bundle         the entries of bundle `number`, or of the tail
    """
    leaves: dict[int, list[bytes]] = {}

    def subtree(level: int, index: int) -> bytes:
        if level >= BUNDLE_LEVEL:
            kept = level - level % LEVEL_STEP
            width = 1 << (level - kept)
            return root_of(roots_between(kept, index * width, (index + 1) * width))
        number = (index << level) // BUNDLE_ENTRIES
        if number not in leaves:
            leaves[number] = [leaf_hash(entry) for entry in bundle(number)]
        begin = (index << level) % BUNDLE_ENTRIES
        return root_of(leaves[number][begin : begin + (1 << level)])

    return subtree


def frontier_at(size: int, subtree: Subtree) -> Frontier:
    """Return the frontier the log had at an earlier size."""
    roots = []
    begin = 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            roots.append(subtree(level, begin >> level))
            begin += 1 << level
    return Frontier(size, tuple(roots))


def _with_bundle(bundles: Frontier, root: bytes, kept: list[SubtreeRoot]) -> Frontier:
    """Return the frontier over bundles with one more; note in `kept` the roots to keep."""
    roots = list(bundles.roots)
    level, number = BUNDLE_LEVEL, bundles.size
    kept.append(SubtreeRoot(level, number, root))
    while number & 1:
        root = node_hash(roots.pop(), root)
        level, number = level + 1, number >> 1
        if level % LEVEL_STEP == 0:
            kept.append(SubtreeRoot(level, number, root))
    roots.append(root)
    return Frontier(bundles.size + 1, tuple(roots))
