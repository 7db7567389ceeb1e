"""The key file: made once, for its owner alone, never overwritten, never half."""

import os
from pathlib import Path

import pytest

from agent.drivers.keyfile import (
    KeyFileFault,
    NodeKeys,
    ensure_key,
    make_key,
    next_key_path,
    read_key,
)
from protocol.signing import public_bytes


def test_a_key_is_made_once_and_read_again(path: Path) -> None:
    made = ensure_key(path)

    assert public_bytes(ensure_key(path)) == public_bytes(made)
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == [path.name]


def test_a_key_is_never_overwritten(path: Path) -> None:
    made = make_key(path)

    with pytest.raises(KeyFileFault, match="never overwritten"):
        make_key(path)

    assert public_bytes(read_key(path)) == public_bytes(made)
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_may_read_is_refused_with_the_remedy(path: Path, mode: int) -> None:
    make_key(path)
    path.chmod(mode)

    with pytest.raises(KeyFileFault, match="chmod 600"):
        read_key(path)


@pytest.mark.parametrize("content", [b"", b"abc", b"zz" * 32, b"00" * 31, b"\xff" * 64])
def test_a_file_that_holds_no_key_is_refused(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(KeyFileFault, match="64 hex digits"):
        read_key(path)


def test_a_key_that_is_not_there_names_the_next_step(path: Path) -> None:
    with pytest.raises(KeyFileFault, match="Enrol this node first"):
        read_key(path)


def test_a_link_in_place_of_the_key_is_not_followed(path: Path, tmp_path: Path) -> None:
    make_key(tmp_path / "elsewhere")
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(KeyFileFault, match="cannot be read"):
        read_key(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "node.key"


def test_the_next_key_takes_the_place_of_the_first_once(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    first = make_key(path)
    keys = NodeKeys(path)
    assert keys.find_next() is None
    following = make_key(next_key_path(path))
    assert public_bytes(keys.current) == public_bytes(first)
    found = keys.find_next()
    assert found is not None
    assert public_bytes(found) == public_bytes(following)

    keys.promote()

    assert keys.find_next() is None
    assert public_bytes(keys.current) == public_bytes(following)
    assert public_bytes(read_key(path)) == public_bytes(following)
    assert not next_key_path(path).exists()
