"""Statements and receipts are verified by the command alone, with nobody's help."""

import json
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from cli.exits import Stopped
from cli.receipts import verify
from protocol.exits import VERIFICATION
from protocol.note import TYPE_COSIGNATURE, verifier_key
from protocol.signing import public_bytes
from protocol.statement import STATEMENT_BYTES_MAX, Statement
from tests.protocol.test_statement import NODE, ORIGIN, REGISTRY, STRANGER, WITNESS, receipt
from tests.protocol.test_statement import statement as drawn_up

REGISTRY_VKEY = verifier_key(WITNESS, public_bytes(REGISTRY), TYPE_COSIGNATURE)
LOG_VKEY = verifier_key(ORIGIN, public_bytes(NODE))


def test_a_statement_that_holds_is_told_line_by_line_with_its_total(tmp_path: Path) -> None:
    path = saved(tmp_path, drawn_up())

    plain, told = ran(path), data(ran(path, "--json"))

    assert plain.exit_code == 0
    assert "train" in plain.stdout
    assert "Holds: Umoja Edge, 2026-11: $5.600004" in plain.stdout
    assert (told["lines"], told["receipts"], told["total_micros"]) == (2, 4, 5_600_004)
    assert told["registry_key"] == REGISTRY_VKEY


def test_a_statement_that_was_altered_ends_with_its_own_exit_code(tmp_path: Path) -> None:
    made = drawn_up()
    cheaper = msgspec.structs.replace(made.lines[0], charged_micros=1)
    path = saved(tmp_path, msgspec.structs.replace(made, lines=(cheaper, made.lines[1])))

    for options in ((), ("--json",)):
        assert stopped(ran(path, *options)).code == VERIFICATION


def test_a_registry_key_that_is_known_already_is_held_against_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, drawn_up())
    other = verifier_key(WITNESS, public_bytes(STRANGER), TYPE_COSIGNATURE)

    assert ran(path, "--registry-key", REGISTRY_VKEY).exit_code == 0
    assert stopped(ran(path, "--registry-key", other)).code == VERIFICATION


@pytest.mark.parametrize("option", ["--registry-key", "--log-key"])
def test_a_key_that_cannot_be_read_is_a_slip_of_the_hand(tmp_path: Path, option: str) -> None:
    wrong = ran(saved(tmp_path, drawn_up()), option, "bogus")

    assert isinstance(wrong.exception, click.UsageError)
    assert option in wrong.exception.message


def test_a_single_receipt_is_checked_by_the_keys_given_with_it(tmp_path: Path) -> None:
    path = tmp_path / "one.tlog-proof"
    path.write_text(receipt(5))
    keys = ("--log-key", LOG_VKEY, "--registry-key", REGISTRY_VKEY)

    told = data(ran(path, *keys, "--json"))
    plain = ran(path, *keys)

    assert (told["log"], told["index"], told["entry"]["q"]) == (ORIGIN, 5, 60_000)
    assert "Holds: entry 5 of 120" in plain.stdout
    assert isinstance(ran(path).exception, click.UsageError)
    path.write_text(receipt(5).replace("index 5", "index 6"))
    assert stopped(ran(path, *keys)).code == VERIFICATION


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"format": 7}'])
def test_a_file_that_is_neither_is_said_to_be_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    found = stopped(ran(path))

    assert found.code == VERIFICATION
    assert "neither a statement nor a receipt" in found.problem.message


def test_a_file_larger_than_any_statement_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(STATEMENT_BYTES_MAX + 1)

    assert "larger than any statement" in stopped(ran(path)).problem.message


def saved(folder: Path, made: Statement) -> Path:
    path = folder / "statement.json"
    path.write_bytes(msgspec.json.encode(made))
    return path


def ran(path: Path, *options: str) -> Result:
    return CliRunner().invoke(verify, [str(path), *options], standalone_mode=False)


def data(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.exception
    found: dict[str, Any] = json.loads(result.stdout)["data"]
    return found


def stopped(result: Result) -> Stopped:
    assert isinstance(result.exception, Stopped), result.exception
    return result.exception
