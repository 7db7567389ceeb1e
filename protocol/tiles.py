"""A log as tiles of 256 (C2SP tlog-tiles): their names, their bytes, and proofs made of them.

A tile at level L, number N holds the roots over 256 neighbours of level L - 1; those of level 0 are
the leaf hashes.  The last tile of a level may be partial.  An entry bundle holds the entries under
a tile of level 0, each after its length in two bytes.
"""

import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from protocol.merkle import HASH_BYTES, Subtree, root_of

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
LEVEL_MAX = 63
LENGTH_BYTES = 2
NAME_PATTERN = re.compile(
    r"(?P<level>entries|0|[1-9][0-9]?)/(?P<upper>(?:x[0-9]{3}/)*)(?P<last>[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)
NAME_CHARACTERS_MAX = 64


@dataclass(frozen=True, slots=True)
class TileName:
    """Which tile: its level (None for an entry bundle), number, and how many it holds."""

    level: int | None
    number: int
    width: int = TILE_WIDTH

    def path(self) -> str:
        """Return the address below `tile/`, such as `0/x001/x234/067.p/112`."""
        digits = f"{self.number:03}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        number = "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])
        level = "entries" if self.level is None else str(self.level)
        return f"{level}/{number}" + (f".p/{self.width}" if self.width < TILE_WIDTH else "")

    def begin(self) -> int:
        """Return the number of the first leaf under this tile."""
        return self.number << TILE_HEIGHT * ((self.level or 0) + 1)

    def end(self) -> int:
        """Return the number after the last leaf under this tile."""
        return self.begin() + (self.width << TILE_HEIGHT * (self.level or 0))


def read_tile_name(path: str) -> TileName | None:
    """Return the tile of an address below `tile/`, or None for any other spelling."""
    match = NAME_PATTERN.fullmatch(path) if len(path) <= NAME_CHARACTERS_MAX else None
    if match is None:
        return None
    upper = match["upper"].replace("x", "").replace("/", "")
    if upper.startswith("000"):
        return None
    level = None if match["level"] == "entries" else int(match["level"])
    width = TILE_WIDTH if match["width"] is None else int(match["width"])
    if (level or 0) > LEVEL_MAX or (match["width"] is not None and width >= TILE_WIDTH):
        return None
    return TileName(level, int(upper + match["last"]), width)


def tiles_of(size: int) -> list[TileName]:
    """Return every tile of a log of `size` entries, bundles first, level by level."""
    names = []
    level, count = 0, size
    while count:
        whole, part = divmod(count, TILE_WIDTH)
        for kind in (None, 0) if level == 0 else (level,):
            names += [TileName(kind, number) for number in range(whole)]
            names += [TileName(kind, whole, part)] if part else []
        level, count = level + 1, whole
    return names


def bundle_bytes(entries: Iterable[bytes]) -> bytes:
    """Return entries as an entry bundle, not compressed."""
    return b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)


def read_bundle(bundle: bytes) -> list[bytes]:
    """Return the entries of a bundle; raise ValueError where it is cut off."""
    entries = []
    at = 0
    while at < len(bundle):
        (length,) = struct.unpack_from(">H", bundle.ljust(at + LENGTH_BYTES, b"\0"), at)
        at += LENGTH_BYTES + length
        if at > len(bundle):
            raise ValueError("a bundle is cut off")
        entries.append(bundle[at - length : at])
    return entries


def hashes_of(tile: bytes) -> list[bytes]:
    """Return the hashes that a tile holds; raise ValueError where it is cut off."""
    if len(tile) % HASH_BYTES:
        raise ValueError("a tile is cut off")
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


def subtrees_of_tiles(size: int, fetch: Callable[[TileName], bytes]) -> Subtree:
    """Return the lookup of perfect subtrees of a log of `size`, for proofs, from its tiles alone.

    fetch  returns a tile's bytes; each is asked for once
    """
    held: dict[TileName, list[bytes]] = {}

    def subtree(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        first = index << height
        number, at = divmod(first, TILE_WIDTH)
        width = min(TILE_WIDTH, (size >> TILE_HEIGHT * tile_level) - number * TILE_WIDTH)
        name = TileName(tile_level, number, width)
        if name not in held:
            held[name] = hashes_of(fetch(name))
        return root_of(held[name][at : at + (1 << height)])

    return subtree
