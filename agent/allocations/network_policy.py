"""What a container may reach: the internet, and nothing of the host or the site.

The engine's default network protects neither: a container reaches the host's own addresses, every
machine of the site's network and the metadata address of a cloud.  The rules go by the name of the
interface that packets come in by, so that no address a container gives itself escapes them.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

INTERFACE_PREFIX = "gp"
"""Every bridge of a container begins so; `gp+` in a rule means all of them."""

EGRESS_CHAIN = "OUTSTATION-EGRESS"
INGRESS_CHAIN = "OUTSTATION-INGRESS"
HOST_CHAIN = "OUTSTATION-HOST"

RESOLVERS_DEFAULT = ("9.9.9.9", "1.1.1.1")
DENIED_V4 = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
"""Private, shared, loopback, link-local (metadata), benchmark, multicast and reserved addresses."""

MAIL_PORTS = "25,465,587"
NEW_PER_SECOND_MAX = 200
NEW_BURST_MAX = 1_000
CONNECTIONS_MAX = 8_192
"""Per container: what a scanner would need more of."""


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """What containers are kept from besides DENIED_V4.

    site_networks  named by the site's operator
    on_link        networks that the host itself is in: the site's LAN, found on its interfaces
    """

    resolvers: tuple[str, ...] = RESOLVERS_DEFAULT
    site_networks: tuple[str, ...] = ()
    on_link: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Jump:
    """The first rule of a chain of the system's: it sends a container's packets to ours."""

    chain: str
    rule: tuple[str, ...]


def jumps(*, version: int) -> tuple[Jump, ...]:
    """Return where our chains are entered, for IPv4 or IPv6.

    The engine keeps DOCKER-USER for IPv4 alone, so IPv6 is caught in FORWARD itself.
    """
    forward = "DOCKER-USER" if version == 4 else "FORWARD"
    return (
        Jump("INPUT", ("-i", f"{INTERFACE_PREFIX}+", "-j", HOST_CHAIN)),
        Jump(forward, ("-o", f"{INTERFACE_PREFIX}+", "-j", INGRESS_CHAIN)),
        Jump(forward, ("-i", f"{INTERFACE_PREFIX}+", "-j", EGRESS_CHAIN)),
    )


def chains(policy: EgressPolicy, *, version: int) -> dict[str, list[str]]:
    """Return the rules of each chain of ours, spelled as `iptables -S` spells them back."""
    answers = "-m conntrack --ctstate RELATED,ESTABLISHED"
    rules = {
        HOST_CHAIN: [f"{answers} -j ACCEPT", "-j DROP"],
        INGRESS_CHAIN: [f"{answers} -j RETURN", "-j DROP"],
        EGRESS_CHAIN: _egress_v4(policy) if version == 4 else ["-j DROP"],
    }
    return {chain: [f"-A {chain} {rule}" for rule in lines] for chain, lines in rules.items()}


def restore_script(policy: EgressPolicy, *, version: int) -> str:
    """Return input for `iptables-restore --noflush` that fills our chains in one step."""
    filled = chains(policy, version=version)
    lines = ["*filter", *(f":{chain} - [0:0]" for chain in filled)]
    for rules in filled.values():
        lines.extend(rules)
    return "\n".join([*lines, "COMMIT", ""])


def on_link_networks(table: str, *, own_prefixes: Sequence[str]) -> tuple[str, ...]:
    """Return the networks that a host is directly in, from the text of /proc/net/route.

    own_prefixes  names of interfaces that containers are behind; they are not the site's
    """
    found = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or fields[2] != "00000000" or fields[1] == "00000000":
            continue
        if any(fields[0].startswith(prefix) for prefix in own_prefixes):
            continue
        address, mask = (int.from_bytes(bytes.fromhex(fields[at]), "little") for at in (1, 7))
        found.add(ipaddress.IPv4Network((address, mask.bit_count())))
    return tuple(str(network) for network in sorted(ipaddress.collapse_addresses(found)))


def _egress_v4(policy: EgressPolicy) -> list[str]:
    rules = [
        "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
        "-m conntrack --ctstate INVALID -j DROP",
    ]
    for resolver in _addresses(policy.resolvers):
        rules.append(f"-d {resolver} -p udp -m udp --dport 53 -j RETURN")
        rules.append(f"-d {resolver} -p tcp -m tcp --dport 53 -j RETURN")
    rules.append("-p udp -m udp --dport 53 -j DROP")
    rules.append("-p tcp -m tcp --dport 53 -j DROP")
    for network in _networks((*DENIED_V4, *policy.site_networks, *policy.on_link)):
        rules.append(f"-d {network} -j DROP")
    rules.append(f"-p tcp -m multiport --dports {MAIL_PORTS} -j DROP")
    rules.append(
        f"-p tcp -m connlimit --connlimit-above {CONNECTIONS_MAX} --connlimit-mask 32 "
        "--connlimit-saddr -j DROP"
    )
    rules.append(
        f"-m conntrack --ctstate NEW -m hashlimit --hashlimit-above {NEW_PER_SECOND_MAX}/sec "
        f"--hashlimit-burst {NEW_BURST_MAX} --hashlimit-mode srcip --hashlimit-name outstation "
        "-j DROP"
    )
    rules.append("-j RETURN")
    return rules


def _addresses(texts: Iterable[str]) -> list[str]:
    found = [ipaddress.ip_address(text) for text in texts]
    return [f"{address}/32" for address in found if address.version == 4]


def _networks(texts: Iterable[str]) -> list[str]:
    """Return IPv4 networks, smallest set that covers all, ordered; v6 is dropped as a whole."""
    found = [ipaddress.ip_network(text, strict=False) for text in texts]
    v4 = [network for network in found if isinstance(network, ipaddress.IPv4Network)]
    return [str(network) for network in ipaddress.collapse_addresses(v4)]
