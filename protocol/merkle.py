"""The RFC 6962 tree over a usage log: leaf, root, inclusion, consistency; SHA-256 throughout.

`Frontier` is the right edge of a growing tree: the roots of its perfect subtrees, largest first.
It appends and gives the root in O(log n) time and space, which is all the registry keeps per node.
Proofs are made from `subtree`, a way to look up the root of the perfect subtree at (level, index):
the holder decides which of those it stores and which it computes again from entries.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
PROOF_HASHES_MAX = 63

Subtree = Callable[[int, int], bytes]
"""Return the root over leaves [index << level, (index + 1) << level)."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf (RFC 6962 section 2.1: SHA-256(0x00 || entry))."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 6962 section 2.1: SHA-256(0x01 || left || right))."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree of `size` leaves: one root per bit of `size`, largest tree first."""

    size: int
    roots: tuple[bytes, ...]

    def root(self) -> bytes:
        """Return the root hash of the whole tree."""
        if not self.roots:
            return EMPTY_ROOT
        root = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            root = node_hash(left, root)
        return root

    def extended(self, entries: Iterable[bytes]) -> "Frontier":
        """Return the frontier after appending the entries."""
        return self.with_leaves(map(leaf_hash, entries))

    def with_leaves(self, leaves: Iterable[bytes]) -> "Frontier":
        """Return the frontier after appending leaves by their hashes."""
        size, roots = self.size, list(self.roots)
        for carry in leaves:
            bits = size
            while bits & 1:
                carry = node_hash(roots.pop(), carry)
                bits >>= 1
            roots.append(carry)
            size += 1
        return Frontier(size=size, roots=tuple(roots))

    def to_bytes(self) -> bytes:
        """Return the roots joined: 32 bytes for each bit set in the size."""
        return b"".join(self.roots)


EMPTY_FRONTIER = Frontier(size=0, roots=())


def read_frontier(size: int, joined: bytes) -> Frontier:
    """Return the frontier that `to_bytes` wrote for a tree of `size` leaves."""
    assert len(joined) == HASH_BYTES * size.bit_count()
    roots = tuple(joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES))
    return Frontier(size=size, roots=roots)


def perfect_root(entries: Sequence[bytes]) -> bytes:
    """Return the root over 2^k entries, level by level: the shortest way to a whole subtree."""
    assert entries
    assert len(entries) & (len(entries) - 1) == 0
    sha256 = hashlib.sha256
    level = [sha256(b"\x00" + entry).digest() for entry in entries]
    while len(level) > 1:
        pairs = iter(level)
        level = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(pairs, pairs, strict=True)
        ]
    return level[0]


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes, straight from the definition (RFC 6962 section 2.1)."""
    if not hashes:
        return EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    split = _split(len(hashes))
    return node_hash(root_of(hashes[:split]), root_of(hashes[split:]))


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Return the audit path of leaf `index` in the tree of `size` (RFC 6962 section 2.1.1)."""
    assert 0 <= index < size
    proof: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            proof.append(_range_root(middle, end, subtree))
            end = middle
        else:
            proof.append(_range_root(begin, middle, subtree))
            begin = middle
    proof.reverse()
    return proof


def consistency_proof(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """Return why the tree of `new` leaves extends that of `old` (RFC 6962 section 2.1.2)."""
    assert 0 < old <= new
    proof: list[bytes] = []
    begin, end = 0, new
    whole = True
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            proof.append(_range_root(middle, end, subtree))
            end = middle
        else:
            proof.append(_range_root(begin, middle, subtree))
            begin, whole = middle, False
    if not whole:
        proof.append(_range_root(begin, end, subtree))
    proof.reverse()
    return proof


def root_from_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes | None:
    """Return the root that the path leads to from `leaf`, or None if its length cannot be right.

    RFC 9162 section 2.1.3.2; the hashes are those of RFC 6962.
    """
    if not 0 <= index < size or len(proof) > PROOF_HASHES_MAX:
        return None
    node, last, root = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return None
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        node, last = node >> 1, last >> 1
    return root if last == 0 else None


def is_consistent(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the proof shows that the new tree extends the old (RFC 9162 section 2.1.4.2)."""
    if not 0 < old <= new or len(proof) > PROOF_HASHES_MAX:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def subtrees_of(hashes: Sequence[bytes]) -> Subtree:
    """Return the lookup of perfect subtrees over leaf hashes held in memory."""

    def subtree(level: int, index: int) -> bytes:
        return root_of(hashes[index << level : (index + 1) << level])

    return subtree


def _split(width: int) -> int:
    """Return the largest power of two smaller than `width`."""
    return 1 << (width - 1).bit_length() - 1


def _range_root(begin: int, end: int, subtree: Subtree) -> bytes:
    """Return the root over leaves [begin, end), of which `begin` is aligned to the left part."""
    width = end - begin
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return subtree(level, begin >> level)
    middle = begin + _split(width)
    return node_hash(_range_root(begin, middle, subtree), _range_root(middle, end, subtree))
