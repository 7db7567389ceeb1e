"""Containers on the Docker Engine, by the low-level API of the docker SDK.

Every call runs on a thread of its own kind with a deadline, for a hung engine blocks its clients
without end.  Where the engine does not answer, nothing is known: EngineUnreachable, never "gone".
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.utils import kwargs_from_env

from agent.allocations.images import is_allowed, is_this_image, not_allowed
from agent.allocations.runtime import (
    Container,
    ContainerSpec,
    ContainerState,
    EngineFault,
    EngineUnreachable,
    ImageFacts,
    Pulling,
)
from agent.drivers import docker_request
from agent.drivers.docker_silence import why_silent
from agent.drivers.driver_thread import CallHung, DriverThread
from agent.drivers.image_pull import PULLS_MAX, Event, ImagePull, pull_fault
from protocol.manifest import Image, read_image

ASK_DEADLINE_MS = 10_000
ACT_DEADLINE_MS = 60_000
KILL_DEADLINE_MS = 2_000
"""The engine answers a kill only after the end, which thousands of processes put off for long."""

PULL_IDLE_S = 120
"""A pull that brings no byte for so long is given up."""

MESSAGE_CHARACTERS_MAX = 200
SECCOMP_PATH = Path(__file__).with_name("seccomp.json")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""As kernels name them, and as images do."""

STATES: dict[str, ContainerState] = {
    "created": "created",
    "running": "running",
    "paused": "running",
    "restarting": "running",
    "removing": "exited",
    "exited": "exited",
    "dead": "exited",
}

T = TypeVar("T")
Client = Any
"""docker.APIClient, whose answers have no types."""


class DockerEngine:
    """Runtime on Docker Engine 20.10 and newer; the API version is negotiated.

    node_id  only containers with this node's label are ever seen or touched
    url      of the engine; None takes DOCKER_HOST or the usual socket
    """

    def __init__(
        self,
        *,
        node_id: str,
        url: str | None = None,
        ask_deadline_ms: int = ASK_DEADLINE_MS,
        act_deadline_ms: int = ACT_DEADLINE_MS,
        pull_idle_s: int = PULL_IDLE_S,
    ) -> None:
        self._node_id = node_id
        self._url = url
        self._asking = _Channel("Docker asking", url, ask_deadline_ms)
        self._acting = _Channel("Docker acting", url, act_deadline_ms)
        self._killing = _Channel("Docker killing", url, KILL_DEADLINE_MS)
        self._pull_idle_s = pull_idle_s
        self._pulls: dict[str, ImagePull] = {}
        self._seccomp = SECCOMP_PATH.read_text(encoding="utf-8")

    async def version(self) -> str:
        """Return the engine's name and version, for people."""
        answer = await self._asking.call(lambda client: client.version())
        return f"Docker Engine {answer['Version']} (API {answer['ApiVersion']})"

    async def list_containers(self) -> tuple[Container, ...]:
        """Return every container with this node's label, whatever its state."""
        return await self._asking.call(partial(_containers, self._node_id))

    async def ensure_image(
        self, reference: str, *, allowed_registries: Sequence[str]
    ) -> ImageFacts | Pulling:
        """Return the image if it is here; else begin to pull it, and say how far that is."""
        image = read_image(reference)
        pull = self._pulls.get(reference)
        if pull is not None and not pull.is_over():
            return Pulling(pull.detail())
        facts = await self._asking.call(partial(_find_image, image))
        if facts is not None and is_this_image(image, facts, allowed_registries):
            self._pulls.pop(reference, None)
            return await self._asking.call(partial(_for_this_machine, facts))
        if not is_allowed(image.name, allowed_registries):
            raise not_allowed(image)
        if pull is not None:
            del self._pulls[reference]
            pull.raise_failure()
            raise EngineFault("image_digest_mismatch", f"{reference} is not what was pulled.")
        if sum(not other.is_over() for other in self._pulls.values()) >= PULLS_MAX:
            return Pulling("waiting for other images")
        self._pulls[reference] = ImagePull(
            partial(_pull_events, self._url, reference, self._pull_idle_s)
        )
        return Pulling("asking the registry")

    async def create(self, spec: ContainerSpec) -> str:
        """Make the container and its network without starting it; return its id."""
        return await self._acting.call(partial(self._create, spec))

    async def start(self, container_id: str, spec: ContainerSpec) -> None:
        """Compare the container with its spec, then start it; remove it on any difference."""
        await self._acting.call(partial(self._start, container_id, spec))

    async def terminate(self, container_id: str) -> None:
        """Send SIGTERM and return at once."""
        await self._acting.call(partial(_signal, container_id, "SIGTERM"))

    async def kill(self, container_id: str) -> None:
        """Send SIGKILL, and do not wait for what comes of it: the next look at it tells."""
        with suppress(EngineUnreachable):
            await self._killing.call(partial(_signal, container_id, "SIGKILL"))

    async def remove(self, container_id: str) -> None:
        """Remove a container that does not run, with its anonymous volumes; absent is fine."""
        await self._acting.call(partial(_remove, container_id))

    async def remove_network(self, allocation_id: str) -> None:
        """Remove the allocation's network; absent is fine."""
        await self._acting.call(partial(_remove_networks, self._node_id, allocation_id))

    async def close(self) -> None:
        """Let go of the engine; what runs goes on."""
        for channel in (self._asking, self._acting, self._killing):
            channel.close()

    def _create(self, spec: ContainerSpec, client: Client) -> str:
        if spec.network is not None:
            _ensure_network(spec, client)
        body = self._body(spec, client)
        try:
            return str(client.create_container_from_config(body, spec.name)["Id"])
        except NotFound as error:
            raise EngineFault("image_missing", _sentence(error)) from error
        except APIError as error:
            if error.status_code != 409:
                raise EngineFault("create_refused", _sentence(error)) from error
            there = client.inspect_container(spec.name)
            made_by = (there["Config"]["Labels"] or {}).get(docker_request.LABEL_NODE)
            if made_by != spec.node_id:
                raise EngineFault("name_taken", _sentence(error)) from error
            return str(there["Id"])

    def _start(self, container_id: str, spec: ContainerSpec, client: Client) -> None:
        made = client.inspect_container(container_id)
        image = _image_facts(client.inspect_image(spec.image_id))
        wrong = docker_request.differences(self._body(spec, client), made, image)
        if wrong:
            client.remove_container(container_id, v=True, force=True)
            raise EngineFault("start_refused", f"The engine made it otherwise: {', '.join(wrong)}")
        try:
            client.start(container_id)
        except APIError as error:
            sentence = _sentence(error)
            gpu = "device driver" in sentence or "nvidia-container" in sentence
            raise EngineFault("no_gpu_runtime" if gpu else "start_failed", sentence) from error

    def _body(self, spec: ContainerSpec, client: Client) -> docker_request.Json:
        parent = docker_request.cgroup_parent(client.info()["CgroupDriver"], spec.tenant_id)
        return docker_request.body(spec, cgroup_parent=parent, seccomp=self._seccomp)


class _Channel:
    """One connection to the engine on one thread; a fresh one after it broke or hung."""

    def __init__(self, name: str, url: str | None, deadline_ms: int) -> None:
        self._url = url
        self._timeout_s = max(deadline_ms // 1000, 1)
        self._thread = DriverThread(name, deadline_ms=deadline_ms)
        self._client: Client | None = None

    async def call(self, question: Callable[[Client], T]) -> T:
        """Return what `question` says; EngineUnreachable if the engine does not answer."""
        try:
            return await self._thread.call(partial(self._answered, question))
        except CallHung as hung:
            self._client = None
            raise EngineUnreachable(str(hung)) from hung

    def close(self) -> None:
        self._thread.close()

    def _answered(self, question: Callable[[Client], T]) -> T:
        try:
            if self._client is None:
                self._client = _connected(self._url, self._timeout_s)
            return question(self._client)
        except APIError as error:
            raise EngineFault("engine_error", _sentence(error)) from error
        except (DockerException, OSError) as error:  # what requests raises is an OSError too
            self._client = None
            raise EngineUnreachable(f"{why_silent(error, self._url)}.") from error


class _PullClient(docker.APIClient):
    """The SDK lets a pull wait without end; here every read has the client's deadline.

    It reads the bare connection besides; read by way of requests, whatever breaks is an OSError.
    """

    def _set_request_timeout(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        return {**kwargs, "timeout": self.timeout}

    def _stream_helper(self, response: Any, decode: bool = False) -> Iterator[Event]:
        assert decode
        yield from (json.loads(line) for line in response.iter_lines() if line)


def _connected(url: str | None, timeout_s: int) -> Client:
    """Return a client that has agreed on a version; APIClient alone ignores DOCKER_HOST."""
    where = kwargs_from_env() if url is None else {"base_url": url}
    return docker.APIClient(version="auto", timeout=timeout_s, **where)


def _pull_events(url: str | None, reference: str, idle_s: int) -> Iterator[Event]:
    """Pull, and yield the engine's progress; broken off when no byte comes for `idle_s`."""
    where = kwargs_from_env() if url is None else {"base_url": url}
    try:
        client = _PullClient(version="auto", timeout=idle_s, **where)
        try:
            yield from client.pull(reference, stream=True, decode=True)
        finally:
            client.close()
    except APIError as error:
        raise pull_fault(_sentence(error)) from error
    except (DockerException, OSError, ValueError) as error:
        why = f"no byte for {idle_s} s, or the engine broke off: {error}"
        raise EngineFault("image_pull_stalled", why[:MESSAGE_CHARACTERS_MAX]) from error


def _containers(node_id: str, client: Client) -> tuple[Container, ...]:
    listed = client.containers(
        all=True, filters={"label": f"{docker_request.LABEL_NODE}={node_id}"}
    )
    found = []
    for entry in listed:
        try:
            # The list may still say `running` of one that has just died; the inspection does not.
            found.append(_container(client.inspect_container(entry["Id"])))
        except NotFound:
            continue
    return tuple(sorted(found, key=lambda container: container.container_id))


def _container(made: docker_request.Json) -> Container:
    labels = made["Config"]["Labels"] or {}
    state = made["State"]
    started_at_ms = docker_request.engine_ms(state["StartedAt"])
    exited = STATES[state["Status"]] == "exited"
    accelerators = labels.get(docker_request.LABEL_ACCELERATORS, "")
    return Container(
        container_id=made["Id"],
        allocation_id=labels.get(docker_request.LABEL_ALLOCATION, ""),
        tenant_id=labels.get(docker_request.LABEL_TENANT, ""),
        state=STATES[state["Status"]],
        spec_hash=labels.get(docker_request.LABEL_SPEC, ""),
        accelerators=tuple(uuid for uuid in accelerators.split(",") if uuid),
        started_at_ms=started_at_ms,
        finished_at_ms=docker_request.engine_ms(state["FinishedAt"]) if exited else None,
        exit_code=state["ExitCode"] if exited else None,
        oom_killed=bool(state["OOMKilled"]),
        address=_address(made["NetworkSettings"].get("Networks") or {}),
    )


def _address(networks: docker_request.Json) -> str:
    addresses = (str(network.get("IPAddress") or "") for network in networks.values())
    return next(filter(None, addresses), "")


def _find_image(image: Image, client: Client) -> ImageFacts | None:
    """Return the image by its name and digest, or by its own id if it was imported by hand."""
    for name in (f"{image.name}@{image.digest}", image.digest):
        try:
            return _image_facts(client.inspect_image(name))
        except NotFound:
            continue
    return None


def _image_facts(made: docker_request.Json) -> ImageFacts:
    config = made.get("Config") or {}
    return ImageFacts(
        image_id=made["Id"],
        architecture=made["Architecture"],
        digests=tuple(made.get("RepoDigests") or ()),
        environment=tuple(config.get("Env") or ()),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        working_directory=config.get("WorkingDir") or "",
        volumes=tuple(sorted(config.get("Volumes") or ())),
    )


def _for_this_machine(facts: ImageFacts, client: Client) -> ImageFacts:
    machine = str(client.info()["Architecture"])
    if facts.architecture != ARCHITECTURES.get(machine, machine):
        raise EngineFault(
            "image_architecture", f"The image is for {facts.architecture}, this machine {machine}."
        )
    return facts


def _ensure_network(spec: ContainerSpec, client: Client) -> None:
    for network in _networks(spec.node_id, spec.allocation_id, client):
        options = network.get("Options") or {}
        if options.get("com.docker.network.bridge.name") == spec.interface:
            return
        client.remove_network(network["Id"])
    try:
        client.create_network(**docker_request.network_body(spec))
    except APIError as error:
        exhausted = "non-overlapping" in _sentence(error)
        code = "network_exhausted" if exhausted else "network_refused"
        raise EngineFault(code, _sentence(error)) from error


def _networks(node_id: str, allocation_id: str, client: Client) -> Iterable[docker_request.Json]:
    wanted = [
        f"{docker_request.LABEL_NODE}={node_id}",
        f"{docker_request.LABEL_ALLOCATION}={allocation_id}",
    ]
    networks: list[docker_request.Json] = client.networks(filters={"label": wanted})
    return networks


def _remove_networks(node_id: str, allocation_id: str, client: Client) -> None:
    for network in _networks(node_id, allocation_id, client):
        try:
            client.remove_network(network["Id"])
        except NotFound:
            continue


def _signal(container_id: str, signal: str, client: Client) -> None:
    try:
        client.kill(container_id, signal=signal)
    except APIError as error:
        if error.status_code not in (404, 409):
            raise


def _remove(container_id: str, client: Client) -> None:
    try:
        client.remove_container(container_id, v=True)
    except NotFound:
        return
    except APIError as error:
        if error.status_code == 409 and "already in progress" in _sentence(error):
            return
        raise


def _sentence(error: APIError) -> str:
    """Return what the engine said, in one line of bounded length."""
    said = error.explanation or str(error)
    return " ".join(str(said).split())[:MESSAGE_CHARACTERS_MAX]
