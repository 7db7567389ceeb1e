"""The node as one program: builds every room, hands each what it needs, runs the loops."""

import asyncio
import logging
import secrets
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agent.allocations.container_spec import NodePolicy
from agent.allocations.loop import AllocationLoop, Allocations
from agent.allocations.operations import Moment
from agent.allocations.queries import list_ready_runs
from agent.background import Loop, Work
from agent.config import Config, gateway_url
from agent.drivers.ballast import Ballast
from agent.drivers.docker_engine import DockerEngine
from agent.drivers.firewall import Firewall
from agent.drivers.host import HostReader, boot_id, boottime_ms, running_ms, wall_ms
from agent.drivers.keyfile import NodeKeys, read_key
from agent.drivers.notice_files import NoticeFiles
from agent.drivers.simulated import SimulatedAccelerators
from agent.gateway.admission import Admission
from agent.gateway.backends import Backend, Backends
from agent.gateway.client import ModelAsker
from agent.gateway.loop import BackendWatch, CallBook, OldCalls
from agent.gateway.metered import Figures, Tally
from agent.gateway.operations import close_left_open, get_totals
from agent.gateway.relay import BackendSession, backend_session
from agent.gateway.routes import GATEWAY, Gateway
from agent.gateway.routes import routes as gateway_routes
from agent.gateway.terms import Terms
from agent.health.checks import CHECKS
from agent.health.loop import HealthWatch
from agent.machine import KEY_FILE, STORE_FILE, accelerator_source, engine_version, fresh_id
from agent.metering.loop import Metering
from agent.metering.operations import begin_time
from agent.metering.timekeeper import NodeClock
from agent.metrics.routes import METRICS, Metrics
from agent.metrics.routes import routes as metrics_routes
from agent.observer import Observer
from agent.server.app import Application, make_app, open_socket, serving
from agent.store.database import Db
from agent.store.thread import Store
from agent.sync.client import RegistryClient
from agent.sync.exchange import NotEnrolled
from agent.sync.loop import SyncLoop, Uplink
from agent.sync.operations import (
    Taken,
    stored_balances,
    stored_desired,
    stored_key_set,
    stored_paces,
    stored_prices,
)
from agent.sync.queries import Identity, get_identity, list_trusted
from agent.sync.signer import Signer
from agent.usage_log.loop import LogRounds
from agent.usage_log.operations import audit_keys, park_broken, verify_log
from agent.usage_log.routes import USAGE_LOG, UsageLog
from agent.usage_log.routes import routes as log_routes
from protocol import __version__
from protocol.clock import SECOND_MS
from protocol.refusal import Fault
from protocol.signing import SigningKey, public_bytes

log = logging.getLogger(__name__)

ALLOCATIONS_PERIOD_MS = 5 * SECOND_MS
HEALTH_PERIOD_MS = 10 * SECOND_MS
BACKENDS_PERIOD_MS = 5 * SECOND_MS
CHANCES = 1_000_000
BALLAST_FILE = "ballast"


@dataclass(slots=True)
class Rooms:
    """The parts that live as long as the node runs, for those that wire others to them."""

    config: Config
    key: SigningKey
    identity: Identity
    store: Store
    clock: NodeClock
    boot: str
    terms: Terms
    backends: Backends
    engine: DockerEngine
    observer: Observer
    book: CallBook
    loops: dict[str, Loop]

    def wake(self, *names: str) -> None:
        """Have these loops begin a pass at once."""
        for name in names:
            self.loops[name].wake()


async def run_node(config: Config) -> None:
    """Run until SIGTERM or Ctrl-C.  Containers are left as they are."""
    state = Path(config.state_directory)
    if not (state / STORE_FILE).exists() and not (state / KEY_FILE).exists():
        raise NotEnrolled
    key = read_key(state / KEY_FILE)
    async with AsyncExitStack() as resources:
        store = resources.enter_context(Store(state / STORE_FILE))
        identity = await store.run(get_identity)
        listening = open_socket(config.gateway.host, config.gateway.port)
        resources.callback(listening.close)
        rooms = await _built(config, key, identity, store, port=listening.getsockname()[1])
        resources.push_async_callback(rooms.engine.close)
        await _checked_log(rooms)
        session = await resources.enter_async_context(backend_session())
        asker = ModelAsker()
        resources.push_async_callback(asker.close)
        signer = Signer(_keys(state, identity))
        client = RegistryClient(
            config.registry_url,
            signer.calls,
            new_nonce=partial(secrets.token_urlsafe, 24),
            agent_version=__version__,
        )
        resources.push_async_callback(client.close)
        rooms.loops.update(_loops(rooms, signer, client=client, asker=asker))
        app = make_app([gateway_routes, metrics_routes, log_routes], new_id=fresh_id)
        app[GATEWAY] = await _gateway(rooms, session=session)
        monitoring = _token(config.gateway.metrics_token_file, "metrics_token_file")
        app[METRICS] = Metrics(gather=rooms.observer.scrape, token=monitoring)
        auditing = _token(config.gateway.audit_token_file, "audit_token_file")
        app[USAGE_LOG] = UsageLog(store, token=auditing)
        await _run(rooms, app, listening)


async def _built(
    config: Config, key: SigningKey, identity: Identity, store: Store, *, port: int
) -> Rooms:
    boot = boot_id()
    state, floor_ms = await store.run(
        begin_time, boot_id=boot, boot_ms=boottime_ms(), wall_ms=wall_ms()
    )
    clock = NodeClock(state, boottime=boottime_ms, floor_ms=floor_ms)
    engine = DockerEngine(node_id=identity.node_id, url=config.engine.url)
    backends = Backends(configured_backends(config))
    loops: dict[str, Loop] = {}
    source = await accelerator_source(config, key)
    observer = Observer(
        store=store,
        source=source,
        read_host=HostReader(Path(config.state_directory)).read,
        hold=source.hold if isinstance(source, SimulatedAccelerators) else lambda _uuids: None,
        clock=clock,
        backends=backends,
        figures=Figures(),
        gateway_url=gateway_url(config, port),
        engine=await engine_version(engine),
        demo=config.demo,
        boot_id=boot,
        failures=lambda: {name: loop.status.failures_in_row for name, loop in loops.items()},
    )
    return Rooms(
        config=config,
        key=key,
        identity=identity,
        store=store,
        clock=clock,
        boot=boot,
        terms=Terms(),
        backends=backends,
        engine=engine,
        observer=observer,
        book=CallBook(store, boot_id=boot, boot_clock=clock.boot_ms),
        loops=loops,
    )


def configured_backends(config: Config) -> list[Backend]:
    """Return the inference backends that the operator configured."""
    return [
        Backend(name=backend.name, url=backend.url, models=backend.models)
        for backend in config.backends
    ]


def _loops(
    rooms: Rooms, signer: Signer, *, client: RegistryClient, asker: ModelAsker
) -> dict[str, Loop]:
    sync = SyncLoop(_uplink(rooms, signer, client))
    log_rounds = LogRounds(rooms.store, on_broken=lambda: rooms.wake("health"))
    metering = _metering(rooms)
    rooms.observer.unwritten = metering.unwritten

    async def metered() -> str:
        # Usage that was closed lets GPUs go, and entries that were written want to be sent.
        report = await metering()
        rooms.wake("allocations")
        return report

    works: dict[str, tuple[Work, int | Callable[[], int]]] = {
        "allocations": (_allocations(rooms), ALLOCATIONS_PERIOD_MS),
        "metering": (metered, rooms.config.metering.tick_s * SECOND_MS),
        "health": (HealthWatch(rooms.store, rooms.observer.facts, CHECKS), HEALTH_PERIOD_MS),
        "backends": (_backend_watch(rooms, asker), BACKENDS_PERIOD_MS),
        "old_calls": (OldCalls(rooms.store, rooms.clock.now_ms), OldCalls.PERIOD_MS),
        "sync": (sync, sync.period_ms),
        "usage_log": (log_rounds, log_rounds.period_ms),
    }
    return {
        name: Loop(name, work, period_ms=period_ms, boottime=boottime_ms)
        for name, (work, period_ms) in works.items()
    }


def _allocations(rooms: Rooms) -> AllocationLoop:
    folder = Path(rooms.config.state_directory).resolve() / "notices"
    return AllocationLoop(
        Allocations(
            store=rooms.store,
            runtime=rooms.engine,
            guard=Firewall(site_networks=rooms.config.engine.site_networks),
            desired=stored_desired,
            paces=stored_paces,
            notices=NoticeFiles(folder),
            inventory=rooms.observer.inventory,
            policy=NodePolicy(
                node_id=rooms.identity.node_id,
                demo=rooms.config.demo,
                allowed_registries=rooms.config.engine.allowed_registries,
                writable_root=rooms.config.engine.writable_root,
                notices_folder=str(folder),
            ),
            moment=partial(_moment, rooms),
            on_change=lambda: rooms.wake("metering", "sync", "backends"),
        )
    )


def _moment(rooms: Rooms) -> Moment:
    return Moment(
        now_ms=rooms.clock.now_ms(),
        boot_id=rooms.boot,
        boot_ms=rooms.clock.boot_ms(),
        wall_ms=wall_ms(),
    )


def _metering(rooms: Rooms) -> Metering:
    return Metering(
        rooms.store,
        rooms.clock,
        running=running_ms,
        period_ms=rooms.config.metering.tick_s * SECOND_MS,
        heartbeat_ms=rooms.config.metering.heartbeat_s * SECOND_MS,
        prices=stored_prices,
        # What the clock has still to be corrected by is what it is wrong by.
        skew=lambda: -rooms.clock.state.correction_ms,
        on_uncovered=lambda: rooms.wake("allocations"),
        room=Ballast(Path(rooms.config.state_directory) / BALLAST_FILE),
    )


def _uplink(rooms: Rooms, signer: Signer, client: RegistryClient) -> Uplink:
    interval_s = rooms.config.sync_interval_s

    def on_taken(taken: Taken) -> None:
        rooms.terms.take_balances(taken.balances)
        if taken.change.desired is not None:
            rooms.terms.take_prices(taken.change.desired[0].prices)
            rooms.wake("allocations")
        if taken.change.key_set is not None:
            rooms.terms.take_key_set(taken.change.key_set[0])

    return Uplink(
        store=rooms.store,
        registry=client,
        clock=rooms.clock,
        wall=wall_ms,
        boot_id=rooms.boot,
        keys=signer,
        observe=rooms.observer.observed,
        on_taken=on_taken,
        chance=partial(secrets.randbelow, CHANCES),
        agent_version=__version__,
        period_ms=None if interval_s is None else interval_s * SECOND_MS,
    )


def _backend_watch(rooms: Rooms, asker: ModelAsker) -> BackendWatch:
    async def find_backends() -> Sequence[Backend]:
        served = await rooms.store.run(container_backends)
        return [*configured_backends(rooms.config), *served]

    return BackendWatch(
        rooms.backends,
        asker.list_models,
        find_backends=find_backends,
        on_change=lambda: rooms.wake("sync"),
    )


def container_backends(db: Db) -> list[Backend]:
    """Return the ready containers that serve the OpenAI API, each for its own tenant's keys."""
    state = stored_desired(db)
    wanted = {one.allocation_id: one for one in state.allocations} if state else {}
    return [
        Backend(
            name=run.allocation_id,
            url=f"http://{run.address}:{wanted[run.allocation_id].manifest.ports[0]}/v1",
            tenant_id=run.tenant_id,
        )
        for run in list_ready_runs(db)
        if run.address
        and run.allocation_id in wanted
        and wanted[run.allocation_id].manifest.serves == "openai"
    ]


async def _gateway(rooms: Rooms, *, session: BackendSession) -> Gateway:
    state = await rooms.store.run(stored_desired)
    rooms.terms.take_prices(state.prices if state else ())
    rooms.terms.take_key_set(await rooms.store.run(stored_key_set))
    rooms.terms.take_balances((await rooms.store.run(stored_balances)).values())
    await rooms.store.run(close_left_open, rooms.terms.prices, now_ms=rooms.clock.now_ms())
    return Gateway(
        terms=rooms.terms,
        balance_state=rooms.terms.balance_state,
        backends=rooms.backends,
        admission=Admission(),
        book=rooms.book,
        tally=Tally(await rooms.store.run(get_totals)),
        session=session,
        clock=rooms.clock.now_ms,
        boot_clock=rooms.clock.boot_ms,
        node_name=rooms.identity.node_name,
        figures=rooms.observer.figures,
    )


async def _checked_log(rooms: Rooms) -> None:
    """Look at what was appended since the last cosignature; a broken log signs nothing more.

    The cosigned part is looked at in rounds (`LogRounds`), so that a long log holds up no start.
    """
    report = await rooms.store.run(
        lambda db: verify_log(
            db,
            audit_keys(
                registry_domain=rooms.identity.registry_domain,
                node=rooms.identity.public_key,
                witnesses=list(list_trusted(db).values()),
            ),
            whole=False,
        )
    )
    if report.fault is not None:
        log.error("usage log broken", extra={"why": report.fault, "index": report.first_wrong})
        await rooms.store.run(park_broken, report)


async def _run(rooms: Rooms, app: Application, listening: socket.socket) -> None:
    """Serve and run every loop until told to stop; the calls' book closes after the last call."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as tasks:
        book = tasks.create_task(rooms.book.run())
        async with serving(app, listening) as url:
            log.info("serving", extra={"url": url, "node": rooms.identity.node_id})
            running = [tasks.create_task(one.run()) for one in rooms.loops.values()]
            await stop.wait()
            for task in running:
                task.cancel()
        book.cancel()


def _keys(state: Path, identity: Identity) -> NodeKeys:
    """Return the keys of this node; a change that only its file has not heard of is finished."""
    keys = NodeKeys(state / KEY_FILE)
    following = keys.find_next()
    if following is not None and public_bytes(following) == identity.public_key:
        keys.promote()
    if public_bytes(keys.current) != identity.public_key:
        raise Fault(
            f"{state / KEY_FILE} is not the key that this node was enrolled with. Put that key "
            "back, or give the agent an empty state_directory and enrol it anew."
        )
    return keys


def _token(path: str | None, setting: str) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"gateway.{setting}: {path} cannot be read ({error}).") from error
