"""The sign of life and the figures for monitoring."""

import asyncio

import aiohttp

from agent.accelerators.accelerator import Accelerator, Capability, Sample
from agent.gateway.metered import ClosedCall, Figures
from agent.gateway.price_list import Tokens
from agent.metrics.exposition import CONTENT_TYPE, exposition, family
from agent.metrics.figures import Scrape, families
from agent.metrics.routes import METRICS, Metrics, routes
from agent.server.app import make_app, open_socket, serving
from protocol.money import Micros

CARD = Accelerator(
    uuid="GPU-1",
    index=0,
    model="Simulated GPU",
    memory_mib=1_000,
    driver_version="simulated",
    simulated=True,
    pci_bus_id="",
    minor_number=None,
    mig_mode=None,
    capabilities=Capability.UTILIZATION,
)


def test_a_gpu_is_told_as_dcgm_exporter_tells_it() -> None:
    sample = Sample(
        uuid="GPU-1", at_ms=1, utilization_percent=37, memory_used_mib=200, power_mw=70_250
    )

    text = told(accelerators=[CARD], samples=[sample], holders={"GPU-1": "a_one"})

    labels = (
        '{gpu="0",UUID="GPU-1",device="nvidia0",modelName="Simulated GPU",Hostname="box",'
        'allocation="a_one",simulated="true"}'
    )
    assert f"DCGM_FI_DEV_GPU_UTIL{labels} 37\n" in text
    assert f"DCGM_FI_DEV_FB_USED{labels} 200\n" in text
    assert f"DCGM_FI_DEV_FB_FREE{labels} 800\n" in text
    assert f"DCGM_FI_DEV_POWER_USAGE{labels} 70.250\n" in text
    assert "# TYPE DCGM_FI_DEV_GPU_UTIL gauge\n" in text


def test_what_a_card_cannot_tell_is_left_out_and_a_lost_one_is_named() -> None:
    text = told(accelerators=[CARD], samples=[Sample(uuid="GPU-1", at_ms=1, loss="fell off")])

    assert "DCGM_FI" not in text
    assert 'outstation_gpu_lost{UUID="GPU-1",simulated="true"} 1\n' in text


def test_calls_and_tokens_are_told_by_model() -> None:
    figures = Figures()
    closed = ClosedCall(
        call_id="r_1",
        stream=("k_1", "m"),
        tokens=Tokens(3, 4, 1),
        micros=Micros(5),
        finished_at_ms=1,
        exact=True,
        outcome="answered",
        backend="b",
    )
    figures.count("m", closed)
    figures.count("m", closed)

    text = told(gateway=figures)

    assert 'outstation_gateway_calls_total{model="m",outcome="answered"} 2\n' in text
    assert 'outstation_gateway_tokens_in_total{model="m"} 6\n' in text
    assert 'outstation_gateway_tokens_out_total{model="m"} 8\n' in text


def test_a_label_cannot_break_out_of_its_quotes() -> None:
    text = exposition([family("x", "gauge", "X.", [(1, {"a": 'b"\\\nc'})])])

    assert text == '# HELP x X.\n# TYPE x gauge\nx{a="b\\"\\\\\\nc"} 1\n'


def test_life_is_for_everybody_and_figures_for_this_machine_alone() -> None:
    answers = asyncio.run(asked(None, {}, {"X-Forwarded-For": "203.0.113.9"}))

    assert answers == [200, 200, 404]


def test_a_name_that_somebody_made_lead_here_shows_no_figures() -> None:
    hosts = ("attacker.example", "attacker.example:9100", "127.0.0.1.attacker.example", "localhost")

    answers = asyncio.run(asked(None, *({"Host": host} for host in hosts)))

    assert answers == [200, 404, 404, 404, 200]


def test_a_token_once_set_is_needed_by_everybody() -> None:
    answers = asyncio.run(
        asked("secret", {}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer secret"})
    )

    assert answers == [200, 404, 404, 200]


def told(**fields: object) -> str:
    return exposition(families(Scrape(hostname="box", version="1", **fields)))  # type: ignore[arg-type]


async def asked(token: str | None, *headers: dict[str, str]) -> list[int]:
    """Return the status of /healthz, then of /metrics with each of these headers."""

    async def gather() -> Scrape:
        return Scrape(hostname="box", version="1")

    app = make_app([routes], new_id=lambda _kind: "r_test")
    app[METRICS] = Metrics(gather, token)
    async with (
        serving(app, open_socket("127.0.0.1", 0)) as url,
        aiohttp.ClientSession() as http,
    ):
        async with http.get(f"{url}/healthz") as life:
            statuses = [life.status]
            assert await life.json() == {"status": "ok"}
        for sent in headers:
            async with http.get(f"{url}/metrics", headers=sent) as answer:
                statuses.append(answer.status)
                if answer.status == 200:
                    assert answer.headers["Content-Type"] == CONTENT_TYPE
        return statuses
