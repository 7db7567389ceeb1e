"""Enrolment that is refused leaves nothing of its own; without an answer the key is kept."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from agent.config import Accelerators, Config, Engine
from agent.enrolling import enrolled
from agent.store.thread import Store
from agent.sync.exchange import RegistrySilent
from protocol.refusal import Fault, Refusal

SECRET = "nk_" + "0" * 52 + "_0123456789abcdef"
REFUSED = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 16\r\n\r\n" + '{"code":"secret"}'[:16]


def config_of(folder: Path, port: int) -> Config:
    return Config(
        registry_url=f"http://127.0.0.1:{port}",
        state_directory=str(folder / "var" / "state"),
        demo=True,
        accelerators=Accelerators(source="simulated"),
        engine=Engine(url="tcp://127.0.0.1:9"),
    )


def asked(folder: Path, answer: str, secret: str = SECRET) -> int:
    """Enrol at a registry that answers so; return how often it was asked."""
    calls = 0

    async def heard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer.encode())
        await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def scenario() -> None:
        server = await asyncio.start_server(heard, "127.0.0.1", 0)
        async with server:
            try:
                await enrolled(config_of(folder, server.sockets[0].getsockname()[1]), secret)
            finally:
                await asyncio.sleep(0.05)

    try:
        asyncio.run(scenario())
    finally:
        assert calls <= 1
    return calls


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_what_is_no_secret_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="secret_malformed"):
        asked(tmp_path, REFUSED, "not a secret")

    assert files(tmp_path) == set()


def test_a_refused_enrolment_leaves_nothing_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(Refusal):
        asked(tmp_path, REFUSED)

    assert files(tmp_path) == set()


def test_what_was_there_before_is_kept_as_it_was(tmp_path: Path) -> None:
    state = tmp_path / "var" / "state"
    state.mkdir(parents=True)
    (state / "node.key").write_text("11" * 32)
    (state / "node.key").chmod(0o600)
    (state / "note").write_text("mine")

    with pytest.raises(Refusal):
        asked(tmp_path, REFUSED)

    assert files(tmp_path) == {"var", "var/state", "var/state/node.key", "var/state/note"}
    assert (state / "node.key").read_text() == "11" * 32


def test_a_key_that_the_registry_may_have_taken_is_kept(tmp_path: Path) -> None:
    with pytest.raises(RegistrySilent):
        asked(tmp_path, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
    key = (tmp_path / "var/state/node.key").read_text()

    with pytest.raises(Refusal):
        asked(tmp_path, REFUSED)

    assert (tmp_path / "var/state/node.key").read_text() == key


def test_a_store_that_another_agent_owns_is_left_alone(tmp_path: Path) -> None:
    state = tmp_path / "var" / "state"
    with Store(state / "agent.db"):
        before = files(tmp_path)
        with pytest.raises(Fault, match="in use by another"):
            asked(tmp_path, REFUSED)
        assert files(tmp_path) == before


def test_what_stops_it_before_it_asks_leaves_nothing_either(tmp_path: Path) -> None:
    config = Config(
        registry_url="http://127.0.0.1:9",
        state_directory=str(tmp_path / "state"),
        accelerators=Accelerators(source="nvml", nvml_library="/no/such/library.so"),
        engine=Engine(url="tcp://127.0.0.1:9"),
    )

    with pytest.raises(Fault):
        asyncio.run(enrolled(config, SECRET))

    assert files(tmp_path) == set()
