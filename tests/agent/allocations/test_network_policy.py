"""What containers may reach, as rules."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.allocations.network_policy import (
    DENIED_V4,
    EGRESS_CHAIN,
    EgressPolicy,
    chains,
    jumps,
    on_link_networks,
    restore_script,
)

ROUTES = """Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
gp0123\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth1\t0000010A\t010200C0\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0
"""

networks = st.ip_addresses(v=4).map(lambda address: f"{address}/24")


@given(site=st.lists(networks, max_size=4), on_link=st.lists(networks, max_size=4))
def test_every_forbidden_address_is_denied_before_anything_is_let_out(
    site: list[str], on_link: list[str]
) -> None:
    policy = EgressPolicy(site_networks=tuple(site), on_link=tuple(on_link))

    rules = chains(policy, version=4)[EGRESS_CHAIN]

    denied = [
        ipaddress.ip_network(rule.split()[3])
        for rule in rules
        if rule.endswith("-j DROP") and rule.split()[2] == "-d"
    ]
    for text in (*DENIED_V4, *site, *on_link):
        wanted = ipaddress.ip_network(text, strict=False)
        assert any(wanted.subnet_of(network) for network in denied)
    assert rules[-1] == f"-A {EGRESS_CHAIN} -j RETURN"
    assert rules[0] == f"-A {EGRESS_CHAIN} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"


def test_names_are_asked_of_the_policys_resolvers_alone() -> None:
    rules = chains(EgressPolicy(resolvers=("10.0.0.53",)), version=4)[EGRESS_CHAIN]

    allowed = rules.index(f"-A {EGRESS_CHAIN} -d 10.0.0.53/32 -p udp -m udp --dport 53 -j RETURN")
    others = rules.index(f"-A {EGRESS_CHAIN} -p udp -m udp --dport 53 -j DROP")
    assert allowed < others < rules.index(f"-A {EGRESS_CHAIN} -d 10.0.0.0/8 -j DROP")


def test_a_resolver_or_network_that_is_none_is_not_taken_for_one() -> None:
    for policy in (
        EgressPolicy(resolvers=("dns",)),
        EgressPolicy(site_networks=("lan; -j ACCEPT",)),
    ):
        with pytest.raises(ValueError, match="does not appear to be"):
            chains(policy, version=4)


def test_ipv6_is_closed_altogether() -> None:
    assert chains(EgressPolicy(), version=6)[EGRESS_CHAIN] == [f"-A {EGRESS_CHAIN} -j DROP"]
    assert {jump.chain for jump in jumps(version=6)} == {"INPUT", "FORWARD"}


def test_the_script_fills_every_chain_in_one_step() -> None:
    script = restore_script(EgressPolicy(), version=4)

    assert script.startswith("*filter\n:OUTSTATION-")
    assert script.endswith("\nCOMMIT\n")
    assert script.count("\n:") == 3


def test_the_sites_own_network_is_found_on_the_hosts_interfaces() -> None:
    found = on_link_networks(ROUTES, own_prefixes=("gp", "docker"))

    assert found == ("192.0.2.0/24",)
