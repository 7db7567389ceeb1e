"""How fast is the gateway, next to the engine itself and to nginx, with everything on?

    python -m bench.gateway [--json] [--rounds 5] [--seconds 4]

One fake engine and the clients share core 0, the gateway (or nginx) has core 1.  The gateway runs
as on a node: keys, limits, a reservation and a durable row per call, tokens counted.  nginx only
carries the bytes.  Rounds are interleaved and medians are compared, so a busy machine slows all
three alike; look at ratios.  nginx is taken from PATH, or from OUTSTATION_BENCH_NGINX.
"""

import argparse
import json
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

SOURCE = Path(__file__).parent / "gateway_load.c"
LOAD_CORE, GATEWAY_CORE = "0", "1"
SCENARIOS = {"64 connections": 64, "1 connection": 1}
KEY = "ok_" + "a" * 52
NGINX = """
worker_processes 1; daemon off; pid nginx.pid; error_log stderr warn;
events {{ worker_connections 4096; multi_accept on; }}
http {{
    access_log off; keepalive_requests 100000000; map_hash_bucket_size 128;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u;
    scgi_temp_path s;
    map $http_authorization $known {{ default 0; "Bearer {key}" 1; }}
    upstream engine {{ server 127.0.0.1:{engine}; keepalive 512; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            if ($known = 0) {{ return 401; }}
            proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


Measured = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, ExitStack() as running:
        folder = Path(made)
        program = folder / "gateway_load"
        subprocess.run(["gcc", "-O2", "-o", str(program), str(SOURCE)], check=True)
        engine = free_port()
        running.enter_context(process(LOAD_CORE, str(program), "engine", str(engine)))
        wait_for(engine)
        targets = {"direct": (engine, 0)}
        nginx = os.environ.get("OUTSTATION_BENCH_NGINX") or shutil.which("nginx")
        if nginx:
            targets["nginx"] = running.enter_context(nginx_before(engine, nginx, folder))
        targets["gateway"] = running.enter_context(gateway_before(engine, folder))
        rounds = measured(program, engine, targets, asked.rounds, asked.seconds)
        time.sleep(1)
        metered = metered_requests(folder / "agent.db")
    served = sum(
        round_["served"] for (name, _), got in rounds.items() for round_ in got if name == "gateway"
    )
    tell(rounds, as_json=asked.json, metered=metered, served=int(served))


def measured(
    program: Path, engine: int, targets: dict[str, tuple[int, int]], rounds: int, seconds: float
) -> dict[tuple[str, str], list[Measured]]:
    """Return what each round came to, by target and scenario; targets take turns."""
    found: dict[tuple[str, str], list[Measured]] = {}
    for _ in range(rounds):
        for scenario, connections in SCENARIOS.items():
            for name, (port, pid) in targets.items():
                before, cpu_before = totals(engine), cpu_s(pid)
                command = [str(program), "clients", str(port), str(connections), str(seconds), KEY]
                output = subprocess.run(
                    ["taskset", "-c", LOAD_CORE, *command],
                    check=True, stdout=subprocess.PIPE, text=True,
                ).stdout  # fmt: skip
                cpu = cpu_s(pid) - cpu_before
                time.sleep(0.3)
                one: Measured = json.loads(output)
                one["served"] = totals(engine)["requests"] - before["requests"]
                one["cpu_us"] = cpu * 1e6 / max(1, one["requests"])
                assert one["bad"] == 0, (name, one)
                found.setdefault((name, scenario), []).append(one)
    return found


def tell(
    rounds: dict[tuple[str, str], list[Measured]], *, as_json: bool, metered: int, served: int
) -> None:
    """Print the medians, and whether every call the engine answered was metered."""
    detail = {
        f"{name}, {scenario}": {
            what: round(statistics.median(one[what] for one in got), 1)
            for what in ("per_second", "p50_us", "p99_us", "cpu_us")
        }
        for (name, scenario), got in rounds.items()
    }
    ours = detail["gateway, 64 connections"]["per_second"]
    against = "nginx" if "nginx, 64 connections" in detail else "direct"
    ratio = ours / detail[f"{against}, 64 connections"]["per_second"]
    exact = metered == served
    if as_json:
        result = {
            "name": "gateway", "figure": ours, "unit": "requests/s", "against": against,
            "ratio": round(ratio, 3), "detail": detail | {"metered": metered, "served": served},
        }  # fmt: skip
        print(json.dumps(result))
    else:
        for name, row in detail.items():
            print(f"{name:28}", "  ".join(f"{what} {figure:>9,}" for what, figure in row.items()))
        print(f"ratio to {against}: {ratio:.3f}")
        print(f"metered {metered} of {served} calls the engine answered for the gateway")
    sys.exit(0 if exact else 1)


@contextmanager
def gateway_before(engine: int, folder: Path) -> Iterator[tuple[int, int]]:
    """Run the gateway in front of the engine; yields its port and process id."""
    port = free_port()
    command = (sys.executable, "-m", "tests.agent.gateway.killable")
    url = f"http://127.0.0.1:{engine}"
    with process(GATEWAY_CORE, *command, str(folder), url, str(port)) as pid:
        wait_for(port)
        time.sleep(1)
        yield port, pid


@contextmanager
def nginx_before(engine: int, nginx: str, folder: Path) -> Iterator[tuple[int, int]]:
    """Run nginx in front of the engine; yields its port and the id of its worker."""
    port = free_port()
    settings = folder / "nginx.conf"
    settings.write_text(NGINX.format(key=KEY, engine=engine, port=port))
    with process(GATEWAY_CORE, nginx, "-p", str(folder), "-c", str(settings)) as pid:
        wait_for(port)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        yield port, int(children[0])


@contextmanager
def process(core: str, *command: str) -> Iterator[int]:
    """Run a program on one core until the end of the block."""
    started = subprocess.Popen(["taskset", "-c", core, *command], stdout=subprocess.DEVNULL)
    try:
        yield started.pid
    finally:
        started.terminate()
        started.wait(10)


def totals(engine: int) -> dict[str, int]:
    """Return what the engine says it has handed out."""
    with urllib.request.urlopen(f"http://127.0.0.1:{engine}/totals", timeout=5) as answer:
        found: dict[str, int] = json.loads(answer.read())
        return found


def metered_requests(path: Path) -> int:
    """Return how many calls the gateway has on its disk, closed and counted exactly."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM call WHERE state = 'closed' AND exactness = 'exact'"
            " AND tokens_out = 16"
        ).fetchone()
    return int(count)


def cpu_s(pid: int) -> float:
    """Return the processor time of a process, in seconds."""
    if not pid:
        return 0.0
    figures = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(figures[11]) + int(figures[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(port: int) -> None:
    """Return once something listens at the port."""
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
