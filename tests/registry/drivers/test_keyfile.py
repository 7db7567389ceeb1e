"""The registry's key is made once, is read by its owner alone, and is never half there."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from protocol.refusal import Fault
from protocol.signing import public_bytes
from registry.drivers.keyfile import read_key, read_or_create_key


def test_a_key_is_made_once_and_then_read(tmp_path: Path) -> None:
    path = tmp_path / "registry.key"

    made, read = read_or_create_key(path), read_or_create_key(path)

    assert public_bytes(made) == public_bytes(read)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_of_two_who_make_it_at_once_both_get_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "registry.key"

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: public_bytes(read_or_create_key(path)), range(8)))

    assert len(keys) == 1


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_key_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "registry.key"
    read_or_create_key(path)
    path.chmod(mode)

    with pytest.raises(Fault, match="run chmod 600"):
        read_key(path)


@pytest.mark.parametrize("text", ["", "0" * 63 + "\n", "z" * 64 + "\n", "0" * 64, "é" * 64])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "registry.key"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)

    with pytest.raises(Fault, match=r"holds no key|cannot be read"):
        read_or_create_key(path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="cannot be made"):
        read_or_create_key(tmp_path / "none" / "registry.key")


def test_reading_never_makes_a_key(tmp_path: Path) -> None:
    with pytest.raises(Fault, match=r"is not there; restore it"):
        read_key(tmp_path / "registry.key")

    assert list(tmp_path.iterdir()) == []
