"""Where the command keeps a key, and who may read it."""

import stat
from pathlib import Path

import pytest

from cli.exits import Stopped
from cli.session import (
    Session,
    checked_session,
    forget_session,
    read_session,
    save_session,
    session_path,
)
from protocol.exits import NOT_SIGNED_IN, USAGE


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("OUTSTATION_URL", raising=False)
    monkeypatch.delenv("OUTSTATION_API_KEY", raising=False)


def test_a_kept_key_is_read_back_and_only_its_owner_may_read_it() -> None:
    save_session(Session("http://127.0.0.1:1", "ok_secret"))

    assert read_session() == Session("http://127.0.0.1:1", "ok_secret")
    assert stat.S_IMODE(session_path().stat().st_mode) == 0o600


def test_a_key_kept_anew_replaces_the_old_one_and_its_permissions() -> None:
    save_session(Session("http://127.0.0.1:1", "ok_old"))
    session_path().chmod(0o644)

    save_session(Session("http://127.0.0.1:1", "ok_new"))

    assert read_session().key == "ok_new"
    assert stat.S_IMODE(session_path().stat().st_mode) == 0o600


def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    save_session(Session("http://127.0.0.1:1", "ok_kept"))
    monkeypatch.setenv("OUTSTATION_API_KEY", "ok_given")

    assert read_session() == Session("http://127.0.0.1:1", "ok_given")


def test_without_a_key_the_remedy_is_named() -> None:
    with pytest.raises(Stopped) as stopped:
        read_session()

    assert stopped.value.code == NOT_SIGNED_IN
    assert "outstation login" in stopped.value.problem.hint


def test_a_file_that_cannot_be_read_says_so() -> None:
    save_session(Session("u", "k")).write_text("{")

    with pytest.raises(Stopped, match="cannot be read"):
        read_session()


def test_a_key_is_never_shown_with_its_session() -> None:
    assert "ok_secret" not in repr(Session("u", "ok_secret"))


def test_forgetting_says_whether_there_was_one() -> None:
    save_session(Session("u", "k"))

    assert forget_session()
    assert not forget_session()


@pytest.mark.parametrize("url", ["", "registry.example", "ftp://x", "http://", "http://a b"])
def test_an_address_that_cannot_be_one_is_refused_before_it_is_called(url: str) -> None:
    with pytest.raises(Stopped) as stop:
        checked_session(url, "ok_given")

    assert (stop.value.problem.code, stop.value.code) == ("address_invalid", USAGE)


@pytest.mark.parametrize("key", ["", "ok_é", "ok_a\nX: b", "ok_" + "a" * 198])
def test_a_key_that_cannot_be_sent_is_refused_in_words(key: str) -> None:
    with pytest.raises(Stopped, match="no API key") as stop:
        checked_session("https://registry.example", key)

    assert stop.value.code == NOT_SIGNED_IN
