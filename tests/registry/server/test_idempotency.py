"""A form that is sent twice takes effect once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from protocol.clock import DAY_MS
from registry.sites.queries import list_sites
from tests.registry.rig import BASE_URL, Rig

SITE = {
    "name": "nbo-telecom-1",
    "city": "Nairobi",
    "country": "KE",
    "kind": "telecom_room",
    "connectivity": "fibre",
    "power_kw": "20",
}


def test_the_same_form_twice_adds_one(rig: Rig) -> None:
    browser = rig.member()

    first = browser.post("/sites/new", idempotency_key="a" * 12, **SITE)
    second = browser.post("/sites/new", idempotency_key="a" * 12, **SITE)

    assert first.status_code == second.status_code == 303
    assert first.headers["Location"] == second.headers["Location"]
    assert _count(rig) == 1


def test_the_same_key_for_another_form_is_refused(rig: Rig) -> None:
    browser = rig.member()
    browser.post("/sites/new", idempotency_key="a" * 12, **SITE)

    other = browser.post("/sites/new", idempotency_key="a" * 12, **(SITE | {"name": "other"}))

    assert other.status_code == 409
    assert "was used before with another request" in other.text
    assert _count(rig) == 1


def test_the_key_of_somebody_else_is_not_mine(rig: Rig) -> None:
    for email in ("ana@umoja.example", "ben@umoja.example"):
        answer = rig.member(email).post("/sites/new", idempotency_key="a" * 12, **SITE)
        assert answer.status_code == 303

    assert _count(rig) == 2


def test_a_key_is_free_again_after_a_day(rig: Rig) -> None:
    browser = rig.member()
    browser.post("/sites/new", idempotency_key="a" * 12, **SITE)
    rig.clock.forward(DAY_MS)

    answer = browser.post("/sites/new", idempotency_key="a" * 12, **(SITE | {"name": "other"}))

    assert answer.status_code == 303
    assert _count(rig) == 2


@pytest.mark.parametrize("key", ["", "short", "with space here", "x" * 65, "ключ-ключ-ключ"])
def test_a_key_that_is_none_is_refused(rig: Rig, key: str) -> None:
    answer = rig.member().post("/sites/new", idempotency_key=key, **SITE)

    assert answer.status_code == 400
    assert _count(rig) == 0


def test_a_refused_form_spends_no_key(rig: Rig) -> None:
    browser = rig.member()

    refused = browser.post("/sites/new", idempotency_key="a" * 12, **(SITE | {"name": " "}))
    mended = browser.post("/sites/new", idempotency_key="a" * 12, **SITE)

    assert refused.status_code == 422
    assert mended.status_code == 303


def test_many_at_once_still_add_one(rig: Rig) -> None:
    browser = rig.member()
    token = browser.token()
    cookies = browser.client._cookies
    data = SITE | {"csrf_token": token, "idempotency_key": "a" * 12}

    def send(_number: int) -> tuple[int, str]:
        client = rig.app.test_client()
        client._cookies = dict(cookies)
        answer = client.post("/sites/new", base_url=BASE_URL, data=data)
        return answer.status_code, answer.headers.get("Location", "")

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(send, range(24)))

    assert len(answers) == 1
    assert next(iter(answers))[0] == 303
    assert _count(rig) == 1


def _count(rig: Rig) -> int:
    with rig.database.reading() as db:
        return len(list_sites(db))
