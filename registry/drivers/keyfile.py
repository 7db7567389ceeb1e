"""The registry's Ed25519 key on disk: made by the first migrate, readable by its owner alone."""

import os
import re
import secrets
import stat
from pathlib import Path

from protocol.refusal import Fault
from protocol.signing import KEY_BYTES, SigningKey, new_signing_key

MODE = 0o600
SEED_PATTERN = re.compile(r"[0-9a-f]{64}\n", re.ASCII)


def read_or_create_key(path: Path) -> SigningKey:
    """Return the key in the file; a file that is not there is made."""
    if not path.exists():
        _create(path)
    return read_key(path)


def read_key(path: Path) -> SigningKey:
    """Return the key in the file; raise Fault for one that others may read or that holds none."""
    try:
        with path.open("r", encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(256)
    except FileNotFoundError as error:
        raise Fault(
            f"key file {path}: is not there; restore it from a backup, correct key_file, or for a "
            "new registry run outstation-registry migrate."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"key file {path}: cannot be read ({error}).") from error
    if mode & 0o077:
        raise Fault(
            f"key file {path}: others may read it (mode {mode:04o}); run chmod 600 {path}, and "
            "replace the key if somebody may have."
        )
    if SEED_PATTERN.fullmatch(text) is None:
        raise Fault(f"key file {path}: holds no key; restore it from a backup.")
    return new_signing_key(bytes.fromhex(text))


def _create(path: Path) -> None:
    """Make the file whole or not at all; of two who make it at once, the first one's key counts."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
        try:
            os.write(handle, f"{secrets.token_bytes(KEY_BYTES).hex()}\n".encode())
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    except OSError as error:
        raise Fault(f"key file {path}: cannot be made ({error}).") from error
    finally:
        draft.unlink(missing_ok=True)
