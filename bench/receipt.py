"""How many receipts does one core verify in a second?

    python -m bench.receipt [--json] [--receipts N] [--entries N]

A receipt is text: an entry, its place, its path to the root and the checkpoint that node and
registry signed.  Each is read and checked as anybody checks one offline (`verify_receipt`): two
Ed25519 signatures and, in a log of 2^20 entries, twenty hashes.  Every receipt is another entry of
the log; thread time is counted.  The ratio is the figure over the goal of 3,000.
"""

import argparse
import json
import sys
import time

from protocol.checkpoint import Checkpoint, cosignature, log_origin, signed_checkpoint, witness_name
from protocol.merkle import Subtree, inclusion_proof, leaf_hash, node_hash
from protocol.receipt import Receipt, receipt_text, verify_receipt
from protocol.signing import new_signing_key, public_bytes
from protocol.usage import Use, entry_bytes

GOAL_PER_S = 3_000
DOMAIN = "cloud.example"
START_MS = 498_659 * 3_600_000
NODE_KEY = new_signing_key(bytes(range(32)))
REGISTRY_KEY = new_signing_key(bytes(range(1, 33)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--receipts", type=int, default=6_000)
    parser.add_argument("--entries", type=int, default=1 << 20)
    asked = parser.parse_args()
    texts = receipts(asked.receipts, asked.entries)
    result = report(texts, measure(texts), asked.entries)
    sys.stdout.write(json.dumps(result) + "\n" if asked.json else told(result))


def entry(at: int) -> bytes:
    """Return entry `at` of the log: minutes of eight allocations in turn."""
    minute = at // 8
    begin_ms = START_MS + minute * 60_000
    return entry_bytes(
        Use(
            f"a_{at % 8:026}", f"t_{at % 2:026}", f"p_{1:026}", "h200.1x", "gpu.ms", 1 + at % 2,
            begin_ms, begin_ms + 60_000, 60_000, (minute + 1) * 60_000,
        )
    )  # fmt: skip


def receipts(count: int, entries: int) -> list[str]:
    """Return the receipts of `count` entries, spread over a log of so many; not measured."""
    levels = [[leaf_hash(entry(at)) for at in range(entries)]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])
    subtree: Subtree = lambda level, index: levels[level][index]  # noqa: E731
    checkpoint = Checkpoint(log_origin(DOMAIN, f"n_{1:026}", 0), entries, levels[-1][0])
    note = signed_checkpoint(checkpoint, NODE_KEY) + cosignature(
        checkpoint, witness=witness_name(DOMAIN), key=REGISTRY_KEY, at_s=START_MS // 1000
    )
    places = [at * entries // count for at in range(count)]
    return [
        receipt_text(Receipt(entry(at), at, tuple(inclusion_proof(at, entries, subtree)), note))
        for at in places
    ]


def measure(texts: list[str]) -> float:
    """Return how many seconds of the processor checking all of them takes."""
    node_key, witness_key = public_bytes(NODE_KEY), public_bytes(REGISTRY_KEY)
    begun = time.thread_time()
    for text in texts:
        verify_receipt(
            text, node_key=node_key, witness=witness_name(DOMAIN), witness_key=witness_key
        )
    return time.thread_time() - begun


def report(texts: list[str], seconds: float, entries: int) -> dict[str, object]:
    """Return the object that is printed."""
    figure = len(texts) / seconds
    return {
        "name": "receipt",
        "figure": round(figure),
        "unit": "receipts verified per second of one core",
        "against": GOAL_PER_S,
        "ratio": round(figure / GOAL_PER_S, 3),
        "detail": {
            "receipts": len(texts),
            "log_entries": entries,
            "receipt_bytes": len(texts[len(texts) // 2].encode()),
        },
    }


def told(result: dict[str, object]) -> str:
    """Return the same for a person."""
    return (
        f"{result['figure']:,} {result['unit']}; the goal is {result['against']:,}\n"
        f"{json.dumps(result['detail'], indent=2)}\n"
    )


if __name__ == "__main__":
    main()
