"""Enrolment of this machine: the secret is spent for trust in its own key, or nothing is left."""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from agent.config import Config, gateway_url
from agent.drivers.docker_engine import DockerEngine
from agent.drivers.host import HostReader, boot_id, wall_ms
from agent.drivers.keyfile import ensure_key
from agent.machine import KEY_FILE, STORE_FILE, accelerator_source, engine_version
from agent.observer import accelerator_facts, host_facts
from agent.store.database import StoreLocked, sole_owner
from agent.store.thread import Store
from agent.sync.client import RegistryClient
from agent.sync.exchange import pinned_key_id
from agent.sync.loop import enrol
from protocol import PROTOCOL_VERSION, __version__
from protocol.enrolment import EnrolAnswer, EnrolRequest
from protocol.refusal import Fault, Refusal
from protocol.signing import SigningKey, public_bytes

FOLDER_MODE = 0o700
STORE_COMPANIONS = ("-wal", "-shm", "-journal")


async def enrolled(config: Config, secret: str) -> EnrolAnswer:
    """Enrol this machine; sent again after a lost answer, it becomes the same node.

    Refused, or stopped before it asked, it leaves nothing that it made.  Where no answer came the
    key is kept: the registry may have taken it.
    """
    pinned_key_id(secret)
    state = Path(config.state_directory)
    fresh = _absent(state)
    may_be_known = False
    try:
        _make_folder(state)
        with Store(state / STORE_FILE) as store:
            key = ensure_key(state / KEY_FILE)
            client = RegistryClient(
                config.registry_url,
                lambda: key,
                new_nonce=partial(secrets.token_urlsafe, 24),
                agent_version=__version__,
            )
            try:
                request = await _request(config, key, secret)
                may_be_known = True
                return await enrol(store, client, request, now_ms=wall_ms())
            finally:
                await client.close()
    except Refusal:
        may_be_known = False
        raise
    finally:
        if not may_be_known:
            _remove(fresh, state / STORE_FILE)


async def _request(config: Config, key: SigningKey, secret: str) -> EnrolRequest:
    engine = DockerEngine(node_id="", url=config.engine.url)
    source = await accelerator_source(config, key)
    try:
        cards = await source.list_accelerators() if source else ()
        samples = await source.read_samples(wall_ms()) if source else ()
        reading = HostReader(Path(config.state_directory)).read()
        return EnrolRequest(
            secret=secret,
            public_key=public_bytes(key).hex(),
            agent_version=__version__,
            protocol=PROTOCOL_VERSION,
            boot_id=boot_id(),
            gateway_url=gateway_url(config, config.gateway.port),
            host=host_facts(reading, engine=await engine_version(engine)),
            accelerators=accelerator_facts(cards, samples, {}),
        )
    finally:
        await engine.close()
        if source is not None:
            await source.close()


def _make_folder(state: Path) -> None:
    try:
        state.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    except OSError as error:
        raise Fault(
            f"state_directory: {state} cannot be made ({error.strerror}). Name a folder that "
            "this user may write, or run as one who may."
        ) from error


def _absent(state: Path) -> Sequence[Path]:
    """Return what enrolment could make and is not there yet: files first, inner folders next."""
    store = state / STORE_FILE
    files = [
        state / KEY_FILE,
        *(store.with_name(store.name + suffix) for suffix in STORE_COMPANIONS),
        store,
        store.with_name(store.name + ".lock"),
    ]
    return [path for path in (*files, state, *state.parents) if not path.exists()]


def _remove(fresh: Sequence[Path], store: Path) -> None:
    """Remove what was made, unless another agent owns the store: then it is not ours."""
    with suppress(OSError, StoreLocked):
        if store.parent.exists():
            with sole_owner(store):
                for path in fresh:
                    if not path.is_dir():
                        path.unlink(missing_ok=True)
        for path in fresh:
            if path.is_dir():
                path.rmdir()
