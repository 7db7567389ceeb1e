"""The log over HTTP: an auditor verifies all of it, a stranger sees hashes and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from agent.server.app import make_app, open_socket, serving
from agent.store.thread import Store
from agent.usage_log.operations import append, begin_log, next_batch, note_answer
from agent.usage_log.routes import TILES_AT_ONCE_MAX, USAGE_LOG, UsageLog, routes
from protocol.checkpoint import read_checkpoint, read_signed_checkpoint
from protocol.merkle import EMPTY_FRONTIER, consistency_proof, is_consistent
from protocol.sync import LogAnswer
from protocol.tiles import read_bundle, subtrees_of_tiles, tiles_of
from protocol.usage import entry_bytes
from tests.fakes.agent_store import (
    DOMAIN,
    NODE_ID,
    NODE_PUBLIC,
    ORIGIN,
    REGISTRY_PUBLIC,
    WITNESS,
    cosign,
    sign,
    use,
)

TOKEN = "audit-token-of-this-site"
AUDITOR = {"Authorization": f"Bearer {TOKEN}"}
SIZE = 600
RAW = [entry_bytes(use(at)) for at in range(SIZE)]
Client = aiohttp.ClientSession
Test = Callable[[Client, str, UsageLog], Awaitable[None]]


def test_an_auditor_verifies_the_whole_log(tmp_path: Path) -> None:
    async def audit(http: Client, url: str, _room: UsageLog) -> None:
        async with http.get(f"{url}/log/checkpoint") as answer:
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert answer.headers["Cache-Control"] == "public, max-age=2"
            note = await answer.text()
        checkpoint = read_signed_checkpoint(note, origin=ORIGIN, public_key=NODE_PUBLIC)
        assert checkpoint.size == SIZE
        tiles = {}
        for name in tiles_of(SIZE):
            async with http.get(f"{url}/log/tile/{name.path()}", headers=AUDITOR) as answer:
                assert answer.status == 200
                assert answer.headers["Content-Type"] == "application/octet-stream"
                tiles[name] = await answer.read()

        bundles = [name for name in tiles if name.level is None]
        entries = [entry for name in bundles for entry in read_bundle(tiles[name])]

        assert entries == RAW
        assert EMPTY_FRONTIER.extended(entries).root() == checkpoint.root
        subtree = subtrees_of_tiles(SIZE, tiles.__getitem__)
        proof = consistency_proof(300, SIZE, subtree)
        old = EMPTY_FRONTIER.extended(RAW[:300]).root()
        assert is_consistent(300, old, SIZE, checkpoint.root, proof)

    run(tmp_path, audit)


def test_hashes_are_for_everybody_and_entries_for_auditors(tmp_path: Path) -> None:
    async def look(http: Client, url: str, _room: UsageLog) -> None:
        assert await status(http, f"{url}/log/tile/0/000") == 200
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
            assert await status(http, f"{url}/log/tile/entries/000", headers) == 401
        assert await status(http, f"{url}/log/tile/entries/000", AUDITOR) == 200

    run(tmp_path, look)


def test_where_no_token_is_set_nobody_reads_entries(tmp_path: Path) -> None:
    async def look(http: Client, url: str, _room: UsageLog) -> None:
        for headers in ({}, {"Authorization": "Bearer None"}, {"Authorization": "Bearer "}):
            assert await status(http, f"{url}/log/tile/entries/000", headers) == 401

    run(tmp_path, look, token=None)


def test_an_address_with_the_epoch_may_be_kept_for_ever(tmp_path: Path) -> None:
    async def look(http: Client, url: str, _room: UsageLog) -> None:
        for address, kept in (
            ("/log/0/tile/0/000", "public, max-age=31536000, immutable"),
            ("/log/tile/0/000", "public, max-age=3600"),
            ("/log/0/tile/entries/000", "private, max-age=31536000, immutable"),
            ("/log/0/checkpoint", "public, max-age=2"),
        ):
            async with http.get(url + address, headers=AUDITOR) as answer:
                assert (answer.status, answer.headers["Cache-Control"]) == (200, kept)

    run(tmp_path, look)


def test_what_there_is_not_is_not_found(tmp_path: Path) -> None:
    async def look(http: Client, url: str, _room: UsageLog) -> None:
        for path in (
            "tile/0/002.p/89", "tile/0/003", "tile/2/000", "tile/0/0", "tile/0/000.p/256",
            "tile/63/000.p/1", "tile/0/%2e%2e/000", "1/checkpoint", "1/tile/0/000", "00/checkpoint",
        ):  # fmt: skip
            assert await status(http, f"{url}/log/{path}", AUDITOR) == 404, path
        assert await status(http, f"{url}/log/tile/0/002.p/88") == 200

    run(tmp_path, look)


def test_a_log_without_a_cosigned_checkpoint_shows_nothing(tmp_path: Path) -> None:
    async def look(http: Client, url: str, _room: UsageLog) -> None:
        assert await status(http, f"{url}/log/checkpoint") == 404
        assert await status(http, f"{url}/log/tile/0/000.p/1") == 404

    run(tmp_path, look, size=0)


def test_more_readers_than_the_store_can_spare_are_put_off(tmp_path: Path) -> None:
    async def look(http: Client, url: str, room: UsageLog) -> None:
        room.reading = TILES_AT_ONCE_MAX
        async with http.get(f"{url}/log/tile/0/000") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        room.reading -= 1
        assert await status(http, f"{url}/log/tile/0/000") == 200
        assert room.reading == TILES_AT_ONCE_MAX - 1

    run(tmp_path, look)


def run(folder: Path, test: Test, *, size: int = SIZE, token: str | None = TOKEN) -> None:
    async def run_it() -> None:
        async with served(folder, size, token) as (http, url, room):
            await test(http, url, room)

    asyncio.run(run_it())


@asynccontextmanager
async def served(
    folder: Path, size: int, token: str | None
) -> AsyncIterator[tuple[Client, str, UsageLog]]:
    """A log of so many cosigned entries behind the node's server."""
    with Store(folder / "agent.db") as store:
        await store.run(begin_log, registry_domain=DOMAIN, node_id=NODE_ID, epoch=0)
        if size:
            await store.run(append, [use(at) for at in range(size)])
            batch = await store.run(next_batch, sign)
            assert batch is not None
            checkpoint, _ = read_checkpoint(batch.checkpoint)
            answer = LogAnswer(epoch=0, size=size, cosignature=cosign(checkpoint))
            keys = [REGISTRY_PUBLIC]
            await store.run(note_answer, answer, sign, witness=WITNESS, witness_keys=keys)
        app = make_app([routes], new_id=lambda _kind: "r_test")
        room = app[USAGE_LOG] = UsageLog(store, token=token)
        async with serving(app, open_socket("127.0.0.1", 0)) as url, Client() as http:
            yield http, url, room


async def status(http: Client, url: str, headers: dict[str, str] | None = None) -> int:
    async with http.get(url, headers=headers) as answer:
        return answer.status
