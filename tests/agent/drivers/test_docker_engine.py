"""The driver on a real engine: one container each, compared before it starts, never in the way."""

import asyncio
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from agent.allocations.runtime import EngineFault, EngineUnreachable, ImageFacts, Pulling
from agent.drivers.docker_engine import DockerEngine
from agent.drivers.docker_request import engine_ms
from protocol.refusal import Refusal
from sites.demo.rootfs import applets, busybox_path, layer
from tests.fakes.image_registry import ImageRegistry, image_registry
from tests.fakes.orders import fresh_id
from tests.services.containers import (
    container_when,
    facts_of,
    labelled_node,
    output_of,
    remove_image,
    spec_for,
)

pytestmark = pytest.mark.docker


@pytest.fixture
def node_id(docker_ready: None) -> Iterator[str]:
    with labelled_node() as node_id:
        yield node_id


def test_a_container_is_made_started_stopped_and_removed(node_id: str, busybox_image: str) -> None:
    async def scenario() -> None:
        engine = DockerEngine(node_id=node_id)
        spec = spec_for(node_id, await facts_of(engine, busybox_image), "sleep", "600")
        before_ms = time.time_ns() // 1_000_000

        container_id = await engine.create(spec)
        assert (await engine.list_containers())[0].state == "created"
        assert await engine.create(spec) == container_id
        await engine.start(container_id, spec)
        (running,) = await engine.list_containers()

        assert running.state == "running"
        assert running.container_id == container_id
        assert running.allocation_id == spec.allocation_id
        assert running.tenant_id == spec.tenant_id
        assert running.spec_hash == spec.spec_hash
        assert ipaddress.ip_address(running.address).is_private
        assert running.started_at_ms is not None
        assert before_ms <= running.started_at_ms <= time.time_ns() // 1_000_000

        await engine.terminate(container_id)
        exited = await container_when(engine, lambda one: one.state == "exited")
        assert exited.exit_code == 143
        assert exited.started_at_ms == running.started_at_ms
        assert exited.finished_at_ms is not None
        assert exited.finished_at_ms >= running.started_at_ms

        await engine.terminate(container_id)
        await engine.kill(container_id)
        for _ in range(2):
            await engine.remove(container_id)
            await engine.remove_network(spec.allocation_id)
        assert await engine.list_containers() == ()
        await engine.close()

    asyncio.run(scenario())


def test_one_that_was_made_otherwise_is_removed_and_never_starts(
    node_id: str, busybox_image: str
) -> None:
    async def scenario() -> None:
        engine = DockerEngine(node_id=node_id)
        spec = spec_for(node_id, await facts_of(engine, busybox_image), "sleep", "600")
        container_id = await engine.create(spec)

        with pytest.raises(EngineFault) as refused:
            await engine.start(container_id, replace(spec, memory_bytes=spec.memory_bytes // 2))

        assert refused.value.code == "start_refused"
        assert "HostConfig.Memory" in refused.value.message
        assert await engine.list_containers() == ()
        await engine.close()

    asyncio.run(scenario())


def test_a_gpu_without_a_gpu_runtime_is_named(node_id: str, busybox_image: str) -> None:
    async def scenario() -> None:
        engine = DockerEngine(node_id=node_id)
        spec = spec_for(node_id, await facts_of(engine, busybox_image), "sleep", "600")
        spec = replace(spec, devices=("GPU-00000000-0000-0000-0000-000000000000",))
        container_id = await engine.create(spec)

        with pytest.raises(EngineFault) as refused:
            await engine.start(container_id, spec)

        assert refused.value.code == "no_gpu_runtime"
        assert (await engine.list_containers())[0].state == "created"
        await engine.close()

    asyncio.run(scenario())


def test_a_command_that_is_not_there_fails_the_start(node_id: str, busybox_image: str) -> None:
    async def scenario() -> None:
        engine = DockerEngine(node_id=node_id)
        spec = spec_for(node_id, await facts_of(engine, busybox_image), "/no/such/program")

        output = await output_of(engine, spec)

        (container,) = await engine.list_containers()
        assert container.exit_code == 127, output
        await engine.close()

    asyncio.run(scenario())


def test_using_too_much_memory_ends_the_container_and_is_told(
    node_id: str, busybox_image: str
) -> None:
    async def scenario() -> None:
        engine = DockerEngine(node_id=node_id)
        facts = await facts_of(engine, busybox_image)
        spec = spec_for(node_id, facts, "sh", "-c", "exec tail /dev/zero")

        await output_of(engine, spec)

        (container,) = await engine.list_containers()
        assert container.oom_killed
        await engine.close()

    asyncio.run(scenario())


def test_containers_of_another_node_are_never_seen(node_id: str, busybox_image: str) -> None:
    async def scenario() -> None:
        engine = DockerEngine(node_id=node_id)
        await engine.create(spec_for(node_id, await facts_of(engine, busybox_image), "true"))

        with labelled_node() as other:
            assert await DockerEngine(node_id=other).list_containers() == ()

    asyncio.run(scenario())


def test_an_image_that_was_imported_answers_to_its_id_alone(
    node_id: str, busybox_image: str
) -> None:
    async def scenario() -> None:
        engine = DockerEngine(node_id=node_id)

        with pytest.raises(Refusal) as refused:
            await engine.ensure_image(f"busybox@sha256:{'0' * 64}", allowed_registries=())

        assert refused.value.code == "image_not_allowed"
        assert (await facts_of(engine, busybox_image)).image_id == busybox_image

    asyncio.run(scenario())


def test_an_image_is_pulled_by_digest_and_only_then_runs(
    registry: ImageRegistry, node_id: str
) -> None:
    async def scenario() -> None:
        engine = DockerEngine(node_id=node_id)
        allowed = (registry.host,)

        facts = await pulled(engine, registry.reference, allowed)

        assert facts.digests == (registry.reference,)
        assert facts.volumes == ("/data",)
        spec = spec_for(node_id, facts, "sh", "-c", "touch /data/x && mount | grep ' /data '")
        assert "tmpfs on /data type tmpfs (rw,nosuid,nodev,noexec" in await output_of(engine, spec)
        by_id = f"acme/stolen@{facts.image_id}"
        for reference, registries in ((registry.reference, ()), (by_id, ())):
            with pytest.raises(Refusal) as refused:
                await engine.ensure_image(reference, allowed_registries=registries)
            assert refused.value.code == "image_not_allowed"

    asyncio.run(scenario())


def test_an_image_that_is_not_there_is_missing(registry: ImageRegistry, node_id: str) -> None:
    async def scenario() -> None:
        engine = DockerEngine(node_id=node_id)
        name = registry.reference.partition("@")[0]

        with pytest.raises(EngineFault) as missing:
            await pulled(engine, f"{name}@sha256:{'0' * 64}", (registry.host,))

        assert missing.value.code == "image_missing"

    asyncio.run(scenario())


def test_a_registry_that_serves_other_bytes_is_found_out(
    registry: ImageRegistry, node_id: str
) -> None:
    async def scenario() -> None:
        registry.lies = True
        engine = DockerEngine(node_id=node_id)

        with pytest.raises(EngineFault) as mismatch:
            await pulled(engine, registry.reference, (registry.host,))

        assert mismatch.value.code == "image_digest_mismatch"

    asyncio.run(scenario())


def test_a_pull_that_brings_nothing_is_given_up(registry: ImageRegistry, node_id: str) -> None:
    async def scenario() -> None:
        registry.stalls = threading.Event()
        engine = DockerEngine(node_id=node_id, pull_idle_s=1)

        with pytest.raises(EngineFault) as stalled:
            await pulled(engine, registry.reference, (registry.host,))

        assert stalled.value.code == "image_pull_stalled"

    asyncio.run(scenario())


def test_an_engine_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = DockerEngine(node_id="n_x", url=f"unix://{tmp_path}/no.sock")

        with pytest.raises(EngineUnreachable, match=f"there is no socket at {tmp_path}/no.sock"):
            await engine.list_containers()

    asyncio.run(scenario())


def test_an_engine_that_is_deaf_is_said_to_be_in_words(tmp_path: Path) -> None:
    async def scenario() -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{tmp_path}/dead.sock")
        engine = DockerEngine(node_id="n_x", url=f"unix://{tmp_path}/dead.sock")
        with pytest.raises(EngineUnreachable, match=f"nothing listens at {tmp_path}/dead.sock"):
            await engine.version()
        engine = DockerEngine(node_id="n_x", url="tcp://127.0.0.1:9")
        with pytest.raises(EngineUnreachable, match=r"nothing listens at tcp://127\.0\.0\.1:9"):
            await engine.version()
        engine = DockerEngine(node_id="n_x", url="tcp://no-such-host.invalid:9")
        with pytest.raises(EngineUnreachable, match="no machine is known by the name"):
            await engine.version()

    asyncio.run(scenario())


def test_an_engine_that_hangs_blocks_nobody_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{tmp_path}/hung.sock")
            server.listen(8)
            engine = DockerEngine(
                node_id="n_x", url=f"unix://{tmp_path}/hung.sock", ask_deadline_ms=300
            )
            beats = 0

            async with asyncio.TaskGroup() as group:
                asked = group.create_task(outcome(engine))
                while not asked.done():
                    beats += 1
                    await asyncio.sleep(0.01)

            assert isinstance(asked.result(), EngineUnreachable)
            assert beats > 15
            await engine.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("1970-01-01T00:00:01Z", 1_000),
        ("2026-11-20T16:10:42.022761222Z", 1_795_191_042_022),
        ("2026-11-20T16:10:42.999999999Z", 1_795_191_042_999),
        ("2026-11-20T17:10:42.5+01:00", 1_795_191_042_500),
        ("2026-11-20T11:10:42-05:00", 1_795_191_042_000),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_engine_times_are_read_to_the_millisecond(text: str, at_ms: int | None) -> None:
    assert engine_ms(text) == at_ms


def test_a_time_that_is_none_is_a_fault() -> None:
    with pytest.raises(EngineFault):
        engine_ms("yesterday")


@pytest.fixture
def registry(docker_ready: None) -> Iterator[ImageRegistry]:
    busybox = busybox_path()
    made = layer(busybox.read_bytes(), applets(busybox))
    # An engine that once had an image by this digest would not ask for it again.
    labels = {"unique": fresh_id("app")}
    config = {"Env": ["PATH=/bin"], "Cmd": ["sh"], "Volumes": {"/data": {}}, "Labels": labels}
    with image_registry(made, config=config) as registry:
        yield registry
        remove_image(registry.reference)


async def pulled(engine: DockerEngine, reference: str, allowed: tuple[str, ...]) -> ImageFacts:
    while True:
        found = await engine.ensure_image(reference, allowed_registries=allowed)
        if isinstance(found, ImageFacts):
            return found
        assert isinstance(found, Pulling)
        await asyncio.sleep(0.05)


async def outcome(engine: DockerEngine) -> object:
    try:
        return await engine.list_containers()
    except EngineFault as fault:
        return fault


def test_the_engine_that_answers_has_the_tests_own_version(node_id: str) -> None:
    version = asyncio.run(DockerEngine(node_id=node_id).version())

    client = docker.APIClient(version="auto")
    assert client.version()["Version"] in version
    client.close()
