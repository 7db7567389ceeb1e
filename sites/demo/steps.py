"""What the demo shows: one function per step, each holding or failing in words."""

import email
import json
import re
import time
from email import policy
from pathlib import Path
from typing import Any

import httpx
import openai
from docker.errors import DockerException

from protocol.money import show_amount
from sites.demo.processes import DemoFailed, answers, program, write_secret
from sites.demo.rootfs import RootfsError, load_image
from sites.demo.setting import ORGANIZATION, OWNER, SIMULATED_MODEL, SIMULATED_SKU, Setting

HERE = Path(__file__).parent
TOP_UP = "500.00"
"""Days of every GPU of the demo: a first launch must not bring the warning of a low balance."""

WORTH_SEEING_MICROS = 5_000
"""Seven seconds of the demo's GPU: long enough to show on a bill."""

REAL_SKU = "demo-gpu"
MODEL = "demo-echo"
APP = "busybox"
WORK = ("sh", "-c", "while :; do echo working; sleep 5; done")
PROMPT = "What stands at the edge?"
METER_WORDS = {"tok.in": "read", "tok.out": "written"}
LINK = re.compile(r"https?://\S+/login/confirm\S+")


def start_registry(setting: Setting) -> str:
    """Migrate, then start the registry under gunicorn and its jobs process."""
    setting.registry("migrate")
    config = ["--config", str(setting.registry_toml)]
    setting.programs.start("registry", [program("outstation-registry"), *config, "serve"])
    setting.programs.start("jobs", [program("outstation-registry"), *config, "jobs"])
    setting.programs.wait_for(
        "The registry answers", lambda: answers(f"{setting.registry_url}/healthz"), at_most_s=30
    )
    return f"Registry at {setting.registry_url}"


def set_up_site(setting: Setting) -> str:
    """Create the organization, and the site with its node."""
    made = setting.registry("organization", "add", ORGANIZATION, "--owner", OWNER)
    setting.tenant_id, setting.project_id = made["tenant_id"], made["project_id"]
    site = setting.registry(
        "site", "add", str(HERE / "site.toml"), "--organization", setting.tenant_id, "--open"
    )
    (node,) = site["nodes"]
    setting.node_id, setting.enrolment_secret = node["node_id"], node["secret"]
    return f"Site {site['name']} with node {node['name']}, enrolment secret shown once"


def enrol_node(setting: Setting) -> str:
    """Spend the secret over the real protocol, start the agent, wait until it is online."""
    secret = write_secret(setting.folder / "enrolment-secret", setting.enrolment_secret)
    agent = [program("outstation-agent"), "--config", str(setting.agent_toml)]
    setting.programs.start(
        MODEL, [program("outstation-agent"), "demo-echo", "--port", str(setting.echo_port)]
    )
    enrolled = setting.agent("enrol", "--secret-file", str(secret))
    secret.unlink()
    setting.programs.start("agent", [*agent, "run"])
    setting.programs.wait_for("The node is online", lambda: _is_online(setting), at_most_s=60)
    cards = sell_what_stands(setting)
    return f"Node {enrolled['node_name']} enrolled and online with {cards}"


def sell_what_stands(setting: Setting) -> str:
    """Load the catalogue for the GPUs that the node found, real or simulated; name them."""
    (node,) = setting.registry("node", "ls")
    model, count = node["accelerators"][0], len(node["accelerators"])
    catalogue = (HERE / "catalogue.toml").read_text()
    if not node["simulated"]:
        setting.sku = REAL_SKU
        catalogue = (
            catalogue.replace(SIMULATED_MODEL, model)
            .replace(SIMULATED_SKU, REAL_SKU)
            .replace("simulated = true", "simulated = false")
        )
    file = setting.folder / "catalogue.toml"
    file.write_text(catalogue)
    setting.registry("catalogue", "load", str(file))
    return f"{count} x {model}" + (", which are not real" if node["simulated"] else "")


def top_up(setting: Setting) -> str:
    """Record money received and make an API key."""
    setting.registry("top-up", setting.tenant_id, TOP_UP, "--reference", "demo")
    made = setting.registry("key", "add", setting.project_id, "--name", "demo", "--owner", OWNER)
    setting.api_key = made["key"]
    balance = setting.outstation("balance")
    return f"Topped up {show_amount(balance['wallet_micros'])}, API key {made['prefix']}…"


def launch(setting: Setting) -> str:
    """Launch one container that holds a GPU, and wait until it is active."""
    try:
        digest = load_image()
    except (RootfsError, DockerException) as error:
        raise DemoFailed(f"The image cannot be made: {error}") from error
    setting.image = f"local/busybox@{digest}"
    publish_app(setting)
    made = setting.outstation(
        "launch",
        "--wait",
        "--name",
        "first-light",
        "--sku",
        setting.sku,
        "--image",
        setting.image,
        "--",
        *WORK,
        timeout_s=120,
    )
    if made["state"] != "active":
        raise DemoFailed(f"The workload is {made['state']}: {made['fact']}")
    setting.allocation_id = made["id"]
    return f"{made['name']} is active on {made['node']}, a real container that holds a GPU"


def publish_app(setting: Setting) -> None:
    """Offer the demo's image on the launch page by a name that can be typed."""
    manifest = setting.folder / f"{APP}.json"
    manifest.write_text(json.dumps({"image": setting.image, "command": WORK}))
    name = "Busybox, prints a line every 5 s"
    setting.registry("app", "publish", APP, "1", str(manifest), "--name", name)


def call_model(setting: Setting) -> str:
    """Call a model through the node's gateway with the official SDK, plainly and streaming."""
    client = openai.OpenAI(base_url=f"{setting.gateway_url}/v1", api_key=setting.api_key)
    setting.programs.wait_for(
        "The node honours the key", lambda: _offers(client, MODEL), at_most_s=30
    )
    said = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": PROMPT}], max_tokens=64
    )
    words, streamed = "", 0
    for part in client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": PROMPT}],
        max_tokens=64,
        stream=True,
        stream_options={"include_usage": True},
    ):
        words += (part.choices[0].delta.content or "") if part.choices else ""
        streamed = part.usage.completion_tokens if part.usage else streamed
    if said.usage is None or not words or not streamed:
        raise DemoFailed("The model answered without words or without saying its usage.")
    whole = said.usage.completion_tokens
    return (
        f"{MODEL} wrote {whole + streamed} tokens in two calls, {whole} at once and {streamed} "
        f"streamed, at {setting.gateway_url}/v1"
    )


def release(setting: Setting) -> str:
    """Let it run a little, release it, and wait until it is gone and all its usage is posted."""
    setting.programs.wait_for(
        "The first charges",
        lambda: _shown(setting)["spent_micros"] >= WORTH_SEEING_MICROS,
        at_most_s=90,
    )
    first = _shown(setting)["spent_micros"]
    done = setting.outstation("release", setting.allocation_id, "--wait", timeout_s=90)
    if done["state"] != "released":
        raise DemoFailed(f"The workload is {done['state']} after its release.")
    return f"Charged {show_amount(first)} while it ran, then released"


def show_bill(setting: Setting) -> str:
    """Fetch the bill and its receipts, verify them, and let the ledger prove itself."""
    setting.programs.wait_for(
        "Tokens on the bill", lambda: _has_tokens(_usage(setting)), at_most_s=60
    )
    saved = setting.folder / "statement.json"
    month = time.strftime("%Y-%m", time.gmtime())
    setting.outstation("statement", month, "--out", str(saved))
    verified = setting.outstation("verify", str(saved))
    spent = sum(one["charged_micros"] for one in _usage(setting))
    if not verified["receipts"] or verified["total_micros"] != spent:
        raise DemoFailed(f"The statement says {verified['total_micros']} micros, not {spent}.")
    report = setting.registry("ledger", "verify")
    if report["problems"]:
        raise DemoFailed(f"The ledger does not verify: {report['problems'][0]}")
    return (
        f"Statement of {show_amount(spent)} verified offline by {verified['receipts']} receipts; "
        f"ledger of {report['journals']} journals sums to zero and repeats from the raw log"
    )


def bill_lines(setting: Setting) -> list[tuple[str, str]]:
    """Return the bill as (what, amount): money in, each thing used, what is left."""
    money_in = [
        (line["memo"], show_amount(line["micros"]))
        for line in _asked(setting, "/api/v1/ledger")["lines"]
        if line["kind"] == "top_up"
    ]
    used = [
        (_what(one), show_amount(-one["charged_micros"]))
        for one in sorted(_usage(setting), key=lambda one: (one["sku"], one["meter"]))
    ]
    left = setting.outstation("balance")["wallet_micros"]
    return [*money_in, *used, ("Balance", show_amount(left))]


def sign_in_link(setting: Setting) -> str:
    """Ask for a sign-in link as a person would, and read it from the outbox."""
    with httpx.Client(base_url=setting.registry_url, trust_env=False) as browser:
        page = browser.get("/login")
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        if token is None:
            raise DemoFailed("The sign-in page has no form.")
        # A browser sends Secure cookies to loopback over plain HTTP; this client does not.
        kept = page.headers.get("Set-Cookie", "").partition(";")[0]
        answer = browser.post(
            "/login",
            data={"email": OWNER, "next": "/", "csrf_token": token.group(1)},
            headers={"Origin": setting.registry_url, "Cookie": kept},
        )
        if answer.status_code >= 400:
            raise DemoFailed(f"The sign-in form was answered with {answer.status_code}.")
    ends_at = time.monotonic() + 10
    while time.monotonic() < ends_at:
        for letter in sorted((setting.folder / "outbox").glob("*.eml")):
            found = LINK.search(_letter_text(letter))
            if found is not None:
                return found.group(0)
        time.sleep(0.1)
    raise DemoFailed(f"No sign-in letter came to {setting.folder / 'outbox'}.")


def tear_down(setting: Setting) -> None:
    """Stop every program, then remove what the node made on the container engine."""
    setting.programs.stop()
    if (setting.folder / "agent" / "agent.db").exists():
        setting.agent("clean")


def _letter_text(path: Path) -> str:
    letter = email.message_from_bytes(path.read_bytes(), policy=policy.default)
    body = letter.get_body(("plain",))
    return str(body.get_content()) if body is not None else ""


def _is_online(setting: Setting) -> bool:
    nodes = setting.registry("node", "ls")
    return any(one["node_id"] == setting.node_id and one["standing"] == "online" for one in nodes)


def _shown(setting: Setting) -> Any:
    return setting.outstation("show", setting.allocation_id)


def _usage(setting: Setting) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _asked(setting, "/api/v1/usage")
    return found


def _asked(setting: Setting, path: str) -> Any:
    answer = httpx.get(
        f"{setting.registry_url}{path}",
        headers={"Authorization": f"Bearer {setting.api_key}"},
        timeout=30,
        trust_env=False,
    )
    answer.raise_for_status()
    return answer.json()["data"]


def _what(used: dict[str, Any]) -> str:
    if used["meter"] == "gpu.ms":
        return f"{used['sku']}: {used['quantity'] / 1000:.1f} GPU seconds"
    return f"{used['sku']}: {used['quantity']} tokens {METER_WORDS[used['meter']]}"


def _has_tokens(used: list[dict[str, Any]]) -> bool:
    return any(one["meter"] == "tok.out" and one["charged_micros"] for one in used)


def _offers(client: openai.OpenAI, model: str) -> bool:
    try:
        return any(one.id == model for one in client.models.list())
    except openai.APIStatusError:
        return False
