"""On a real engine: a workload reads its notice, cannot write there, and handles SIGTERM."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.allocations.container_spec import spec_hash
from agent.allocations.notices import notice_text
from agent.allocations.runtime import EngineFault
from agent.drivers.docker_engine import DockerEngine
from agent.drivers.notice_files import NoticeFiles
from tests.services.containers import (
    container_when,
    facts_of,
    labelled_node,
    logs_of,
    spec_for,
)

pytestmark = pytest.mark.docker

WORKLOAD = """
touch /run/outstation/mine 2>/dev/null && echo written
trap 'cat /run/outstation/notice.json; exit 7' TERM
echo ready
while :; do sleep 0.1; done
"""
ENDS_AT_MS = 1_795_176_000_000


@pytest.fixture
def node_id(docker_ready: None) -> Iterator[str]:
    with labelled_node() as node_id:
        yield node_id


def test_a_notice_put_while_it_runs_is_read_inside_and_sigterm_is_handled(
    node_id: str, busybox_image: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        engine, notices = DockerEngine(node_id=node_id), NoticeFiles(tmp_path)
        bare = spec_for(node_id, await facts_of(engine, busybox_image), "sh", "-c", WORKLOAD)
        spec = replace(bare, notices=str(tmp_path / bare.allocation_id))
        spec = replace(spec, spec_hash=spec_hash(spec))
        notices.prepare(spec.allocation_id)
        container_id = await engine.create(spec)
        await engine.start(container_id, spec)
        while "ready" not in logs_of(container_id):
            await asyncio.sleep(0.05)

        notices.put(spec.allocation_id, notice_text(ENDS_AT_MS))
        await engine.terminate(container_id)
        ended = await container_when(engine, lambda one: one.state == "exited")
        said = logs_of(container_id)

        assert ended.exit_code == 7
        assert notice_text(ENDS_AT_MS).strip() in said
        assert "written" not in said
        await engine.remove(container_id)
        await engine.remove_network(spec.allocation_id)
        await engine.close()

    asyncio.run(scenario())


def test_a_container_with_another_mount_than_asked_for_is_not_started(
    node_id: str, busybox_image: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        engine, notices = DockerEngine(node_id=node_id), NoticeFiles(tmp_path)
        bare = spec_for(node_id, await facts_of(engine, busybox_image), "sleep", "60")
        made = replace(bare, notices=str(tmp_path / bare.allocation_id))
        notices.prepare(made.allocation_id)
        container_id = await engine.create(made)

        with pytest.raises(EngineFault, match="Mounts"):
            await engine.start(container_id, bare)

        assert await engine.list_containers() == ()
        await engine.remove_network(made.allocation_id)
        await engine.close()

    asyncio.run(scenario())
