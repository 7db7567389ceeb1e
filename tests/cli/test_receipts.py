"""Receipts are verified by the command alone, with nobody's help."""

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from cli.answers import ReceiptBundle
from cli.exits import Stopped
from cli.receipts import verify
from protocol.checkpoint import Checkpoint, cosignature, signed_checkpoint, witness_name
from protocol.exits import VERIFICATION
from protocol.merkle import EMPTY_FRONTIER, inclusion_proof, leaf_hash, subtrees_of
from protocol.note import TYPE_COSIGNATURE, verifier_key
from protocol.receipt import Receipt, receipt_text
from protocol.signing import new_signing_key, public_bytes
from protocol.usage import Use, entry_bytes

ORIGIN = "registry.example/log/n_1/0"
WITNESS = witness_name("registry.example")
NODE_KEY = new_signing_key(bytes([1]) * 32)
REGISTRY_KEY = new_signing_key(bytes([2]) * 32)


def test_receipts_that_hold_are_said_to_hold(tmp_path: Path) -> None:
    path = saved(tmp_path, bundle())

    ran = CliRunner().invoke(verify, [str(path), "--json"], standalone_mode=False)

    (told,) = json.loads(ran.stdout)["data"]["receipts"]
    assert (told["log"], told["index"], told["size"]) == (ORIGIN, 1, 3)
    assert told["entry"]["q"] == 1_000


@pytest.mark.parametrize(
    "change",
    [
        {"receipts": [""]},
        {"receipts": ["c2sp.org/tlog-proof@v1\nnothing"]},
        {"log_vkey": verifier_key(ORIGIN, public_bytes(REGISTRY_KEY))},
        {"log_vkey": "not a key"},
        {"witness_vkey": verifier_key(WITNESS, public_bytes(NODE_KEY), TYPE_COSIGNATURE)},
    ],
)
def test_a_file_that_does_not_hold_ends_with_its_own_exit_code(
    tmp_path: Path, change: dict[str, object]
) -> None:
    path = saved(tmp_path, {**bundle(), **change})

    ran = CliRunner().invoke(verify, [str(path)], standalone_mode=False)

    assert isinstance(ran.exception, Stopped)
    assert ran.exception.code == VERIFICATION


def test_a_charge_that_was_altered_does_not_hold(tmp_path: Path) -> None:
    text = bundle()["receipts"][0]
    lines = text.split("\n")
    lines[1] = "extra " + lines[1].removeprefix("extra ").swapcase()
    path = saved(tmp_path, {**bundle(), "receipts": ["\n".join(lines)]})

    ran = CliRunner().invoke(verify, [str(path)], standalone_mode=False)

    assert isinstance(ran.exception, Stopped)


def test_a_registry_key_that_is_known_already_is_held_against_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, bundle())
    other = verifier_key(WITNESS, public_bytes(NODE_KEY), TYPE_COSIGNATURE)

    ran = CliRunner().invoke(verify, [str(path), "--registry-key", other], standalone_mode=False)

    assert isinstance(ran.exception, Stopped)


def bundle() -> dict[str, list[str] | str]:
    entries = [entry_bytes(use(at)) for at in range(3)]
    frontier = EMPTY_FRONTIER.extended(entries)
    checkpoint = Checkpoint(ORIGIN, 3, frontier.root())
    note = signed_checkpoint(checkpoint, NODE_KEY)
    note += cosignature(checkpoint, witness=WITNESS, key=REGISTRY_KEY, at_s=1_795_173_400)
    hashes = [leaf_hash(entry) for entry in entries]
    proof = tuple(inclusion_proof(1, 3, subtrees_of(hashes)))
    return {
        "receipts": [receipt_text(Receipt(entries[1], 1, proof, note))],
        "log_vkey": verifier_key(ORIGIN, public_bytes(NODE_KEY)),
        "witness_vkey": verifier_key(WITNESS, public_bytes(REGISTRY_KEY), TYPE_COSIGNATURE),
    }


def use(at: int) -> Use:
    return Use(
        allocation_id="a_1",
        tenant_id="t_1",
        project_id="p_1",
        sku="h200.1x",
        meter="gpu.ms",
        lease_id=1,
        begin_ms=1_000 * at,
        end_ms=1_000 * (at + 1),
        quantity=1_000,
        cumulative=1_000 * (at + 1),
    )


def saved(folder: Path, content: dict[str, list[str] | str]) -> Path:
    path = folder / "receipts.json"
    path.write_bytes(msgspec.json.encode(content))
    if all(isinstance(content[name], str) for name in ("log_vkey", "witness_vkey")):
        msgspec.json.decode(path.read_bytes(), type=ReceiptBundle)
    return path
