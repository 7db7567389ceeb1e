"""A machine becomes a node: once, with its own key, and nobody else's GPUs."""

import re
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from werkzeug.test import TestResponse

from protocol.clock import DAY_MS
from protocol.enrolment import EnrolAnswer, EnrolRequest
from protocol.http_signature import read_signed_answer, signed_request_headers
from protocol.observed import AcceleratorFact, HostFacts
from protocol.signing import SigningKey, key_id, new_signing_key, public_bytes
from protocol.wire import pack
from registry.audit.queries import list_events
from registry.nodes.queries import find_node_by_key, get_node, list_accelerators
from registry.server.settings import EXTENSION, Settings
from tests.registry.rig import BASE_URL, Browser, Rig

KEY = new_signing_key(b"n" * 32)
OTHER_KEY = new_signing_key(b"o" * 32)
GPUS = tuple(
    AcceleratorFact(f"GPU-{at}", "NVIDIA H100 80GB", 81_559, simulated=False, healthy=True)
    for at in range(2)
)


def test_a_secret_gives_trust_to_the_key_that_signs(rig: Rig) -> None:
    node_id, secret = _new_node(rig.member())

    answer = _enrol(rig, secret)

    assert answer.status_code == 200
    told = msgspec.json.decode(answer.data, type=EnrolAnswer)
    assert told.node_id == node_id
    assert told.registry_domain == "registry.example"
    assert told.log_epoch == 0
    assert told.trust_keys[0].public_key == public_bytes(_settings(rig).key).hex()
    with rig.database.reading() as db:
        node = find_node_by_key(db, key_id(public_bytes(KEY)))
        assert node is not None
        assert node.node_id == node_id
        assert node.gateway_url == "https://gpu01.example"
        assert [card.uuid for card in list_accelerators(db, node_id)] == ["GPU-0", "GPU-1"]


def test_the_answer_is_signed_by_the_key_that_the_secret_pins(rig: Rig) -> None:
    _, secret = _new_node(rig.member())
    registry_key = public_bytes(_settings(rig).key)

    answer = _enrol(rig, secret, nonce="nonce-of-this-call-1")
    signed_by = _read_answer(rig, answer, nonce="nonce-of-this-call-1")

    assert signed_by == key_id(registry_key)
    assert secret.endswith(key_id(registry_key))


def test_a_refusal_is_signed_too(rig: Rig) -> None:
    rig.member()

    answer = _enrol(rig, "nk_" + "0" * 52 + "_" + "0" * 16, nonce="nonce-of-this-call-2")

    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"
    assert answer.json is not None
    assert answer.json["code"] == "secret_invalid"
    assert _read_answer(rig, answer, nonce="nonce-of-this-call-2")


def test_the_same_key_may_ask_again_and_gets_the_same_answer(rig: Rig) -> None:
    _, secret = _new_node(rig.member())

    first, second = _enrol(rig, secret), _enrol(rig, secret)

    assert first.status_code == second.status_code == 200
    assert first.data == second.data


def test_another_key_gets_nothing_for_a_spent_secret_and_it_is_audited(rig: Rig) -> None:
    node_id, secret = _new_node(rig.member())
    _enrol(rig, secret)

    answer = _enrol(rig, secret, key=OTHER_KEY)

    assert answer.status_code == 409
    assert _code(answer) == "secret_spent"
    with rig.database.reading() as db:
        newest = list_events(db, object_id=node_id)[0]
        assert (newest.action, newest.result) == ("node.enrolled", "secret_spent")
        assert get_node(db, node_id).key_id == key_id(public_bytes(KEY))


def test_a_call_made_again_byte_by_byte_is_refused(rig: Rig) -> None:
    _, secret = _new_node(rig.member())

    first = _enrol(rig, secret, nonce="nonce-that-comes-twice")
    again = _enrol(rig, secret, nonce="nonce-that-comes-twice")

    assert first.status_code == 200
    assert (again.status_code, _code(again)) == (401, "signature_replayed")


def test_a_call_signed_by_another_key_than_it_names_is_refused(rig: Rig) -> None:
    _, secret = _new_node(rig.member())
    call = _Call(secret=secret)

    answer = call.sent(rig, signer=OTHER_KEY)

    assert (answer.status_code, _code(answer)) == (401, "unknown_key")


@pytest.mark.parametrize("point", ["00" * 32, "01" + "00" * 31, "ec" + "ff" * 30 + "7f"])
def test_a_key_of_small_order_is_refused(rig: Rig, point: str) -> None:
    _, secret = _new_node(rig.member())

    answer = _Call(secret=secret, changes={"public_key": point}).sent(rig)

    assert answer.status_code == 401


def test_a_secret_ends_after_a_week_and_when_it_is_revoked(rig: Rig) -> None:
    browser = rig.member()
    node_id, old = _new_node(browser)
    new = _secret_in(browser.post(f"/nodes/{node_id}/keys").text)

    revoked = _enrol(rig, old)
    rig.clock.forward(7 * DAY_MS)
    expired = _enrol(rig, new)

    assert (revoked.status_code, _code(revoked)) == (401, "secret_revoked")
    assert (expired.status_code, _code(expired)) == (401, "secret_expired")


def test_a_new_key_begins_a_new_log_and_the_same_key_goes_on_with_its_own(rig: Rig) -> None:
    browser = rig.member()
    node_id, secret = _new_node(browser)
    _enrol(rig, secret)
    page = browser.get("/nodes/keys")
    first_key = page.text.partition('id="key-')[2].partition('"')[0]
    browser.post(f"/nodes/keys/{first_key}/revoke")
    cut_off = _enrol(rig, secret)

    same = _enrol(rig, _secret_in(browser.post(f"/nodes/{node_id}/keys").text))
    other = _enrol(rig, _secret_in(browser.post(f"/nodes/{node_id}/keys").text), key=OTHER_KEY)

    assert (cut_off.status_code, _code(cut_off)) == (401, "secret_revoked")
    assert _epoch(same) == 0
    assert _epoch(other) == 1


def test_a_gpu_of_another_node_is_refused(rig: Rig) -> None:
    browser = rig.member()
    _, first = _new_node(browser)
    _, second = _new_node(browser, name="gpu02")
    _enrol(rig, first)

    answer = _enrol(rig, second, key=OTHER_KEY)

    assert (answer.status_code, _code(answer)) == (409, "registered_elsewhere")
    assert "GPU-0" in answer.text


def test_a_key_of_another_node_is_refused(rig: Rig) -> None:
    browser = rig.member()
    _, first = _new_node(browser)
    _, second = _new_node(browser, name="gpu02")
    _enrol(rig, first)

    answer = _Call(secret=second, changes={"accelerators": ()}).sent(rig)

    assert (answer.status_code, _code(answer)) == (409, "registered_elsewhere")


def test_simulated_gpus_enrol_in_demo_mode_alone_and_are_known_as_such(
    rig: Rig, demo_rig: Rig
) -> None:
    simulated = {
        "accelerators": tuple(msgspec.structs.replace(gpu, simulated=True) for gpu in GPUS)
    }
    _, secret = _new_node(rig.member())
    demo_node, demo_secret = _new_node(demo_rig.member())

    refused = _Call(secret=secret, changes=simulated).sent(rig)
    taken = _Call(secret=demo_secret, changes=simulated).sent(demo_rig)

    assert (refused.status_code, _code(refused)) == (403, "simulated_accelerators")
    assert "simulated GPUs are for demos" in refused.text
    assert taken.status_code == 200
    with demo_rig.database.reading() as db:
        assert get_node(db, demo_node).simulated


def test_an_agent_of_another_protocol_is_told_so(rig: Rig) -> None:
    _, secret = _new_node(rig.member())

    answer = _Call(secret=secret, changes={"protocol": 999}).sent(rig)

    assert (answer.status_code, _code(answer)) == (400, "protocol_unsupported")


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", pack({"secret": 1}), pack([1])])
def test_a_body_that_cannot_be_read_is_refused_by_name(rig: Rig, body: bytes) -> None:
    answer = rig.app.test_client().post("/node/v1/enrol", base_url=BASE_URL, data=body)

    assert (answer.status_code, _code(answer)) == (400, "malformed")


def test_text_of_a_node_is_shown_as_text(rig: Rig) -> None:
    browser = rig.member()
    node_id, secret = _new_node(browser)
    evil = "<img src=x onerror=alert(1)>"
    cards = tuple(msgspec.structs.replace(gpu, model=evil) for gpu in GPUS)
    host = HostFacts(evil, 8, 65_536, 100_000, evil, evil)

    _Call(secret=secret, changes={"accelerators": cards, "host": host}).sent(rig)
    page = browser.get(f"/nodes/{node_id}")

    assert evil not in page.text
    assert "&lt;img src=x onerror=alert(1)&gt;" in page.text


@dataclass(frozen=True, slots=True)
class _Call:
    """An enrolment call.  changes: fields that differ from a good one"""

    secret: str
    key: SigningKey = KEY
    changes: dict[str, Any] | None = None

    def sent(self, rig: Rig, *, signer: SigningKey | None = None, nonce: str = "") -> TestResponse:
        good = EnrolRequest(
            secret=self.secret,
            public_key=public_bytes(self.key).hex(),
            agent_version="0.1.0",
            protocol=1,
            boot_id="b0071d",
            gateway_url="https://gpu01.example",
            host=HostFacts("gpu01", 32, 262_144, 900_000, "Docker 26.1", "6.1"),
            accelerators=GPUS,
        )
        body = pack(msgspec.structs.replace(good, **(self.changes or {})))
        headers = signed_request_headers(
            method="POST",
            url=f"{BASE_URL}/node/v1/enrol",
            body=body,
            key=signer or self.key,
            now_ms=rig.clock(),
            nonce=nonce or rig.new_id("request"),
        )
        client = rig.app.test_client()
        return client.post("/node/v1/enrol", base_url=BASE_URL, data=body, headers=headers)


def _enrol(rig: Rig, secret: str, *, key: SigningKey = KEY, nonce: str = "") -> TestResponse:
    return replace(_Call(secret=secret), key=key).sent(rig, nonce=nonce)


def _read_answer(rig: Rig, answer: TestResponse, *, nonce: str) -> str:
    registry_key = public_bytes(_settings(rig).key)
    signed_by = read_signed_answer(
        status=answer.status_code,
        headers=dict(answer.headers),
        body=answer.data,
        public_key_of={key_id(registry_key): registry_key}.get,
        now_ms=rig.clock(),
        nonce=nonce,
    )
    return signed_by.key_id


def _new_node(browser: Browser, *, name: str = "gpu01") -> tuple[str, str]:
    """A node of a site, and its enrolment secret as its page shows it."""
    if name == "gpu01":
        browser.post(
            "/sites/new",
            name="nbo-telecom-1",
            city="Nairobi",
            country="KE",
            kind="telecom_room",
            connectivity="fibre",
            power_kw="20",
        )
    form = browser.get("/nodes/new")
    site_id = form.text.partition('value="s_')[2].partition('"')[0]
    page = browser.post(
        "/nodes/new",
        site=f"s_{site_id}",
        name=name,
        external_id="rack 1",
        accelerator="NVIDIA H100 80GB",
        gpu_count="2",
        power_w="1400",
        latency_ms="4",
    )
    assert page.status_code == 200, page.text
    return "n_" + page.text.partition("/nodes/n_")[2][:29], _secret_in(page.text)


def _secret_in(page: str) -> str:
    found = re.search(r"nk_[0-9a-z]{52}_[0-9a-f]{16}", page)
    assert found is not None, page
    return found.group(0)


def _epoch(answer: TestResponse) -> int:
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.data, type=EnrolAnswer).log_epoch


def _code(answer: TestResponse) -> str:
    assert answer.json is not None
    return str(answer.json["code"])


def _settings(rig: Rig) -> Settings:
    found = rig.app.extensions[EXTENSION]
    assert isinstance(found, Settings)
    return found
