"""A gateway on loopback with its own store, keys, prices and leases; real sockets throughout."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from agent.demo_echo.routes import DEMO, Totals, demo_app
from agent.gateway.admission import Admission
from agent.gateway.backends import Backend, Backends
from agent.gateway.client import ModelAsker
from agent.gateway.loop import BackendWatch, CallBook
from agent.gateway.metered import Tally
from agent.gateway.operations import close_left_open, get_totals
from agent.gateway.relay import backend_session
from agent.gateway.routes import GATEWAY, Gateway, routes
from agent.gateway.terms import Terms
from agent.leases.operations import replace_leases
from agent.server.app import make_app, open_socket, serving
from agent.store.database import Db
from agent.store.thread import Store
from protocol.ids import new_id
from protocol.key_set import ApiKeyFact, KeySet, secret_hash
from protocol.lease import Lease
from protocol.price import Price

SECRET = "ok_" + "a" * 52
OTHER_SECRET = "ok_" + "b" * 52
TENANT = "t_one"
BOOT_ID = "boot"
HOUR_MS = 3_600_000
PLENTY = 10**12


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def boot_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def fresh_id(kind: str) -> str:
    return new_id(kind, now_ms=wall_ms(), entropy=secrets.token_bytes(12))


def key_fact(secret: str = SECRET, **fields: object) -> ApiKeyFact:
    facts: dict[str, object] = {
        "key_id": f"k_{secret[3]}",
        "hash": secret_hash(secret),
        "tenant_id": TENANT,
        "project_id": "p_one",
        "requests_per_minute": 1_000_000,
        "concurrency": 10_000,
    }
    return ApiKeyFact(**{**facts, **fields})  # type: ignore[arg-type]


def key_set(*keys: ApiKeyFact, stale_in_ms: int = HOUR_MS) -> KeySet:
    now_ms = wall_ms()
    return KeySet(
        node_id="n_one",
        version=1,
        issued_at_ms=now_ms,
        stale_at_ms=now_ms + stale_in_ms,
        keys=keys or (key_fact(),),
    )


def prices_of(model: str, *, tok_in: int = 100, tok_out: int = 200, req: int = 0) -> list[Price]:
    """Micros for 1,000 tokens, and for a call."""
    meters = (("tok.in", tok_in, 1_000), ("tok.out", tok_out, 1_000), ("req", req, 1))
    return [
        Price(sku=model, meter=meter, version=1, num=num, den=den, effective_at_ms=0)
        for meter, num, den in meters
    ]


@dataclass(frozen=True, slots=True)
class Rig:
    """A running gateway."""

    url: str
    store: Store
    room: Gateway
    watch: BackendWatch

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    async def rows(self, sql: str = "SELECT * FROM call") -> list[dict[str, object]]:
        """Return rows of the store once nothing is waiting to be written."""
        await self.room.book.write()
        return await self.store.run(lambda db: [dict(row) for row in db.rows(sql, {})])

    async def closed_rows(self) -> list[dict[str, object]]:
        """Return the calls once all are closed."""
        for _ in range(500):
            rows = await self.rows()
            if all(row["state"] == "closed" for row in rows):
                return rows
            await asyncio.sleep(0.01)
        raise AssertionError("a call is still open")

    async def lease(self) -> dict[str, object]:
        (lease,) = await self.rows("SELECT * FROM lease")
        return lease


@asynccontextmanager
async def running_gateway(
    folder: Path,
    backends: Sequence[Backend],
    *,
    keys: KeySet | None = None,
    prices: Sequence[Price] | None = None,
    lease_micros: int = PLENTY,
    port: int = 0,
    stalled_reader_s_max: float = 60,
) -> AsyncIterator[Rig]:
    """Serve a gateway in front of `backends`, probed once, as a start of the agent does."""
    terms = _terms(keys or key_set(), prices if prices is not None else prices_of("demo-echo"))
    with Store(folder / "agent.db") as store:
        await store.run(_leased, lease_micros)
        await store.run(close_left_open, terms.prices, now_ms=wall_ms())
        book = CallBook(store, boot_id=BOOT_ID, boot_clock=boot_ms)
        known = Backends(backends)
        asker = ModelAsker()

        async def configured() -> Sequence[Backend]:
            return backends

        watch = BackendWatch(
            known, asker.list_models, find_backends=configured, on_change=lambda: None
        )
        async with backend_session() as session:
            room = Gateway(
                terms=terms,
                backends=known,
                admission=Admission(),
                book=book,
                tally=Tally(await store.run(get_totals)),
                session=session,
                clock=wall_ms,
                boot_clock=boot_ms,
                node_name="node-one",
                stalled_reader_s_max=stalled_reader_s_max,
            )
            app = make_app([routes], new_id=fresh_id)
            app[GATEWAY] = room
            writing = asyncio.create_task(book.run())
            try:
                async with serving(app, open_socket("127.0.0.1", port)) as url:
                    await watch()
                    yield Rig(url, store, room, watch)
            finally:
                writing.cancel()
                await asyncio.wait([writing])
                await asker.close()


@asynccontextmanager
async def running_demo(delay_ms: int = 0) -> AsyncIterator[tuple[str, Totals]]:
    """Serve demo-echo; yields its URL and its own totals."""
    app = demo_app(delay_ms=delay_ms, new_id=fresh_id, clock=wall_ms)
    async with serving(app, open_socket("127.0.0.1", 0)) as url:
        yield url, app[DEMO].totals


@asynccontextmanager
async def running_backend(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]], *models: str
) -> AsyncIterator[str]:
    """Serve an engine that lists `models` and answers every POST with `answer`."""
    app = web.Application()

    async def listed(_request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": model} for model in models or ("demo-echo",)]})

    app.router.add_get("/v1/models", listed)
    app.router.add_post("/v1/{rest:.*}", answer)
    async with serving(app, open_socket("127.0.0.1", 0)) as url:
        yield url


def _terms(keys: KeySet, prices: Sequence[Price]) -> Terms:
    terms = Terms()
    terms.take_key_set(keys)
    terms.take_prices(prices)
    return terms


def _leased(db: Db, micros: int) -> None:
    lease = Lease(lease_id=1, tenant_id=TENANT, amount=micros, expires_in_ms=HOUR_MS)
    replace_leases(db, [lease], sent_boot_ms=boot_ms(), boot_id=BOOT_ID)
