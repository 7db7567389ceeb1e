"""The node's Ed25519 key on disk: made once, readable by its owner alone, never overwritten."""

import os
from pathlib import Path

from protocol.refusal import Fault
from protocol.signing import KEY_BYTES, SigningKey, new_signing_key

FILE_MODE = 0o600
OTHERS_MODE = 0o077
HEX_CHARACTERS = 2 * KEY_BYTES


class KeyFileFault(Fault):
    """The key file cannot be used; the sentence says what to do."""


def read_key(path: Path) -> SigningKey:
    """Return the key in the file; refuse one that others may read or that is no key."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise KeyFileFault(f"{path} does not exist. Enrol this node first.") from None
    except OSError as error:
        raise KeyFileFault(f"{path} cannot be read: {error.strerror}.") from error
    with os.fdopen(handle, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if mode & OTHERS_MODE:
            raise KeyFileFault(
                f"{path} can be read by others (mode {mode & 0o777:03o}). If nobody else has seen "
                f"it, run `chmod 600 {path}`; if somebody may have, enrol the node with a new key."
            )
        text = file.read(HEX_CHARACTERS + 2)
    try:
        seed = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        seed = b""
    if len(seed) != KEY_BYTES:
        raise KeyFileFault(f"{path} does not hold a key: {HEX_CHARACTERS} hex digits are expected.")
    return new_signing_key(seed)


def make_key(path: Path) -> SigningKey:
    """Return a new key, on the disk before this returns; refuse if the file is there already.

    Written beside its place and linked there, so that no crash leaves half a key and no two
    processes make two.
    """
    seed = os.urandom(KEY_BYTES)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(seed.hex().encode("ascii") + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileExistsError:
        raise KeyFileFault(f"{path} exists already; a node's key is never overwritten.") from None
    except OSError as error:
        raise KeyFileFault(f"{path} cannot be written: {error.strerror}.") from error
    return new_signing_key(seed)


def ensure_key(path: Path) -> SigningKey:
    """Return the key in the file, made now if there is none."""
    return read_key(path) if path.exists() else make_key(path)


class NodeKeys:
    """The key of this node and, while it is being changed, the next one beside it.

    A change is asked for by making the next key's file; it is over when that file has taken the
    place of the first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._current = read_key(path)

    @property
    def current(self) -> SigningKey:
        """Return the key that the registry trusts."""
        return self._current

    def find_next(self) -> SigningKey | None:
        """Return the key that is to take its place, or None."""
        path = next_key_path(self._path)
        return read_key(path) if path.exists() else None

    def promote(self) -> None:
        """Go by the next key from now on; the file of the one before is gone."""
        path = next_key_path(self._path)
        self._current = read_key(path)
        os.replace(path, self._path)
        _sync_folder(self._path.parent)


def next_key_path(path: Path) -> Path:
    """Return where the next key stands while it is not the node's yet."""
    return path.with_name(f"{path.name}.next")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
