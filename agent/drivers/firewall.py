"""EgressGuard by iptables and ip6tables: our own chains, entered before anybody else's rules.

Every pass asks for the rules as they stand and writes them only where they differ, for other
programs (a firewall's reload, an engine's restart) take them away without telling.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from agent.allocations.network_policy import (
    INTERFACE_PREFIX,
    RESOLVERS_DEFAULT,
    EgressPolicy,
    chains,
    jumps,
    on_link_networks,
    restore_script,
)

DEADLINE_S = 10
LOCK_WAIT_S = "5"
ROUTES = Path("/proc/net/route")
ENGINE_PREFIXES = (INTERFACE_PREFIX, "docker", "br-", "veth", "lo")
DOCKER_USER = "DOCKER-USER"
SENTENCE_CHARACTERS_MAX = 200
TOOLS = {4: "iptables", 6: "ip6tables"}

log = logging.getLogger(__name__)


class Firewall:
    """Rules for every interface that a container is behind; needs CAP_NET_ADMIN.

    through  command that the tools are run by, where the agent lacks the right: `("sudo", "-n")`
    """

    def __init__(
        self,
        *,
        resolvers: Sequence[str] = RESOLVERS_DEFAULT,
        site_networks: Sequence[str] = (),
        through: Sequence[str] = (),
        routes: Path = ROUTES,
    ) -> None:
        self._resolvers = tuple(resolvers)
        self._site_networks = tuple(site_networks)
        self._through = tuple(through)
        self._routes = routes

    async def asserted(self) -> str | None:
        """Put the rules in place again; return why they are not, None if they are.

        Containers have no IPv6, so that its rules are a second lock: where the machine has no
        ip6tables that work, the first one has to do.
        """
        try:
            await self._assert(4)
        except _Refused as refused:
            return str(refused)
        except ValueError as error:
            return f"A site network or resolver is no address: {error}."
        try:
            await self._assert(6)
        except _Refused as refused:
            log.debug("no IPv6 rules", extra={"why": str(refused)})
        return None

    async def removed(self) -> None:
        """Take every rule of ours away again."""
        for version in TOOLS:
            for jump in jumps(version=version):
                while await self._ran(version, "-D", jump.chain, *jump.rule):
                    pass
            for chain in chains(self._policy(), version=version):
                await self._ran(version, "-F", chain)
                await self._ran(version, "-X", chain)

    def _policy(self) -> EgressPolicy:
        table = self._routes.read_text(encoding="ascii")
        return EgressPolicy(
            resolvers=self._resolvers,
            site_networks=self._site_networks,
            on_link=on_link_networks(table, own_prefixes=ENGINE_PREFIXES),
        )

    async def _assert(self, version: int) -> None:
        policy = self._policy()
        standing = (await self._run(version, "-S")).splitlines()
        for chain, rules in chains(policy, version=version).items():
            if [line for line in standing if line.startswith(f"-A {chain} ")] != rules:
                await self._restore(version, restore_script(policy, version=version))
                log.info("firewall chains written", extra={"version": version})
                break
        if version == 4:
            await self._assert_engine_chain(standing)
        await self._assert_jumps(version, standing)

    async def _assert_engine_chain(self, standing: list[str]) -> None:
        """See that forwarded packets come by DOCKER-USER before anything lets them through."""
        if f"-N {DOCKER_USER}" not in standing:
            raise _Refused("The engine's chain DOCKER-USER is not there.")
        if _rules_of("FORWARD", standing)[:1] != [f"-j {DOCKER_USER}"]:
            await self._run(4, "-I", "FORWARD", "1", "-j", DOCKER_USER)

    async def _assert_jumps(self, version: int, standing: list[str]) -> None:
        """See that our chains are entered first: a rule before them could let a packet pass."""
        wanted: dict[str, list[tuple[str, ...]]] = {}
        for jump in jumps(version=version):
            wanted.setdefault(jump.chain, []).append(jump.rule)
        for chain, rules in wanted.items():
            spelled = [" ".join(rule) for rule in rules]
            if _rules_of(chain, standing)[: len(rules)] == spelled:
                continue
            # Inserted anew before the old ones go, so that there is no moment without them.
            for rule in reversed(rules):
                await self._run(version, "-I", chain, "1", *rule)
            for rule in rules:
                await self._remove_last(version, chain, " ".join(rule))

    async def _remove_last(self, version: int, chain: str, rule: str) -> None:
        """Remove every copy of a rule but the first."""
        standing = _rules_of(chain, (await self._run(version, "-S", chain)).splitlines())
        places = [at for at, line in enumerate(standing, start=1) if line == rule]
        for at in reversed(places[1:]):
            await self._run(version, "-D", chain, str(at))

    async def _restore(self, version: int, script: str) -> None:
        await self._call((f"{TOOLS[version]}-restore", "--noflush", "-w", LOCK_WAIT_S), script)

    async def _run(self, version: int, *arguments: str) -> str:
        return await self._call((TOOLS[version], "-w", LOCK_WAIT_S, *arguments))

    async def _ran(self, version: int, *arguments: str) -> bool:
        try:
            await self._run(version, *arguments)
        except _Refused:
            return False
        return True

    async def _call(self, command: Sequence[str], script: str = "") -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._through,
                *command,
                # A tool that reads nothing may be gone before an empty script is written to it.
                stdin=asyncio.subprocess.PIPE if script else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise _Refused(f"{command[0]} cannot be run: {error.strerror}") from error
        try:
            async with asyncio.timeout(DEADLINE_S):
                said, complained = await process.communicate(script.encode() if script else None)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise _Refused(f"{command[0]} has not answered in {DEADLINE_S} s") from None
        if process.returncode != 0:
            why = " ".join(complained.decode(errors="replace").split())
            raise _Refused(f"{command[0]}: {why}"[:SENTENCE_CHARACTERS_MAX])
        return said.decode(errors="replace")


class _Refused(Exception):
    """The rules could not be read or written."""


def _rules_of(chain: str, standing: Sequence[str]) -> list[str]:
    """Return the rules of one chain, in their order, without its name."""
    beginning = f"-A {chain} "
    return [line.removeprefix(beginning) for line in standing if line.startswith(beginning)]
