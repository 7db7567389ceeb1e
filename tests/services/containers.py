"""Real containers for tests: orders for them, and nothing left of them afterwards."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import docker
from docker.errors import NotFound

from agent.allocations.container_spec import NodePolicy, container_spec
from agent.allocations.runtime import Container, ContainerSpec, ImageFacts
from agent.drivers.docker_engine import DockerEngine
from agent.drivers.docker_request import LABEL_NODE
from protocol.manifest import Manifest
from tests.fakes.orders import fresh_id, order

WAIT_S = 60


@contextmanager
def labelled_node() -> Iterator[str]:
    """Give a node id that nobody has, and remove everything that bears it in the end."""
    node_id = fresh_id("node")
    yield node_id
    client = docker.APIClient(version="auto")
    wanted = {"label": f"{LABEL_NODE}={node_id}"}
    try:
        for container in client.containers(all=True, filters=wanted):
            client.remove_container(container["Id"], v=True, force=True)
        for network in client.networks(filters=wanted):
            client.remove_network(network["Id"])
    finally:
        client.close()


def remove_image(reference: str) -> None:
    """Take an image off the engine again, if it is there."""
    client = docker.APIClient(version="auto")
    try:
        client.remove_image(client.inspect_image(reference)["Id"], force=True)
    except NotFound:
        pass
    finally:
        client.close()


def spec_for(
    node_id: str, facts: ImageFacts, *command: str, guarded: bool = True, writable: bool = False
) -> ContainerSpec:
    """Return a small container that runs `command`."""
    manifest = Manifest(
        image=f"outstation/busybox@{facts.image_id}", command=command, read_only_root=not writable
    )
    return container_spec(
        order(fresh_id("allocation"), manifest),
        NodePolicy(node_id=node_id, writable_root=writable),
        generation=1,
        holdings=[],
        image=facts,
        is_egress_guarded=guarded,
    )


async def facts_of(engine: DockerEngine, image_id: str) -> ImageFacts:
    """Return what the engine says of an image that is here."""
    found = await engine.ensure_image(f"outstation/busybox@{image_id}", allowed_registries=())
    assert isinstance(found, ImageFacts)
    return found


async def container_when(engine: DockerEngine, holds: Callable[[Container], bool]) -> Container:
    """Return this node's one container once `holds` is true of it."""
    deadline = time.monotonic() + WAIT_S
    while True:
        (container,) = await engine.list_containers()
        if holds(container):
            return container
        assert time.monotonic() < deadline, container
        await asyncio.sleep(0.05)


async def output_of(engine: DockerEngine, spec: ContainerSpec) -> str:
    """Run a container to its end and return what it said."""
    container_id = await engine.create(spec)
    await engine.start(container_id, spec)
    await container_when(engine, lambda one: one.state == "exited")
    return logs_of(container_id)


def logs_of(container_id: str) -> str:
    """Return what a container has said so far."""
    client = docker.APIClient(version="auto")
    try:
        return str(client.logs(container_id).decode())
    finally:
        client.close()
