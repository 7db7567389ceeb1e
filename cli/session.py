"""Where the command keeps whose key it uses: one file, readable by its owner alone."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from cli.answers import Problem
from cli.exits import Stopped, stopped

FILE_MODE = 0o600


URL_PATTERN = re.compile(r"https?://[!-~]+", re.ASCII)
KEY_PATTERN = re.compile(r"[!-~]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Session:
    """The registry to call and the API key to call it with."""

    url: str
    key: str = field(repr=False)


def checked_session(url: str, key: str) -> Session:
    """Return the session of an address and a key that can be sent at all."""
    if URL_PATTERN.fullmatch(url) is None:
        problem = Problem(
            code="address_invalid",
            message=f"{url!r} is no address of a registry.",
            hint="Write it as in the browser, for example https://registry.example.",
        )
        raise Stopped(problem, status=400)
    if KEY_PATTERN.fullmatch(key) is None:
        raise stopped(
            "not_signed_in",
            "This is no API key: it is empty, or holds blanks or characters that none has.",
            "Copy it again from Keys, whole and on one line.",
        )
    return Session(url=url.rstrip("/"), key=key)


def session_path() -> Path:
    """Return the file of the session: under XDG_CONFIG_HOME, else ~/.config."""
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "outstation" / "session.json"


def read_session() -> Session:
    """Return the saved session; OUTSTATION_URL and OUTSTATION_API_KEY go before it."""
    url = os.environ.get("OUTSTATION_URL")
    key = os.environ.get("OUTSTATION_API_KEY")
    if url and key:
        return checked_session(url, key)
    try:
        saved = msgspec.json.decode(session_path().read_bytes(), type=dict[str, str])
        return checked_session(url or saved["url"], key or saved["key"])
    except FileNotFoundError:
        raise _signed_out() from None
    except (msgspec.DecodeError, KeyError):
        raise stopped(
            "session_unreadable",
            f"{session_path()} cannot be read.",
            "Type `outstation login --url URL` to write it anew.",
        ) from None


def save_session(session: Session) -> Path:
    """Write the session so that only its owner can read it."""
    path = session_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as out:
        out.write(msgspec.json.encode({"url": session.url, "key": session.key}))
    fresh.replace(path)
    return path


def forget_session() -> bool:
    """Remove the saved session; False if there was none."""
    try:
        session_path().unlink()
    except FileNotFoundError:
        return False
    return True


def _signed_out() -> Stopped:
    return stopped(
        "not_signed_in",
        "You are not signed in.",
        "Make an API key under Keys, then type `outstation login --url URL` and paste it.",
    )
