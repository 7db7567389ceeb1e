"""Every unsafe request of a page proves that our own page sent it."""

import re

import pytest

from registry.server.forms import FORM_COOKIE, PROGRAM_PATHS
from registry.server.session import SESSION_COOKIE
from tests.registry.rig import BASE_URL, Browser, Rig


def test_a_form_without_its_token_is_refused(rig: Rig) -> None:
    browser = rig.member()

    answer = browser.client.post("/logout", base_url=BASE_URL)

    assert answer.status_code == 403
    assert "was not sent by a page of this site" in answer.text
    assert browser.get("/onboarding").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_form_from_elsewhere_is_refused_even_with_its_token(
    rig: Rig, headers: dict[str, str]
) -> None:
    browser = rig.member()
    data = {"csrf_token": browser.token()}

    answer = browser.client.post("/logout", base_url=BASE_URL, data=data, headers=headers)

    assert answer.status_code == 403


def test_a_form_of_our_own_page_passes(rig: Rig) -> None:
    browser = rig.member()
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": BASE_URL}
    data = {"csrf_token": browser.token()}

    answer = browser.client.post("/logout", base_url=BASE_URL, data=data, headers=headers)

    assert answer.status_code == 303


def test_a_token_of_another_session_is_refused(rig: Rig) -> None:
    browser, other = rig.member(), rig.member("ben@umoja.example")

    answer = browser.client.post("/logout", base_url=BASE_URL, data={"csrf_token": other.token()})

    assert answer.status_code == 403


def test_a_form_as_plain_text_is_refused(rig: Rig) -> None:
    browser = rig.member()

    answer = browser.client.post(
        "/logout",
        base_url=BASE_URL,
        data=f"csrf_token={browser.token()}",
        content_type="text/plain",
    )

    assert answer.status_code == 403


def test_every_unsafe_address_of_the_pages_asks_for_the_token(rig: Rig) -> None:
    browser = rig.member()
    addresses = _unsafe_addresses(rig)

    answers = {
        address: browser.client.post(address, base_url=BASE_URL).status_code
        for address in addresses
    }

    assert len(answers) >= 10
    assert set(answers.values()) == {403}, answers


def test_no_get_changes_anything(rig: Rig) -> None:
    browser = rig.member()

    answers = [browser.get(address).status_code for address in _unsafe_addresses(rig)]

    assert all(status in (200, 303, 400, 404, 405) for status in answers)
    assert browser.get("/onboarding").status_code == 200


def test_programs_are_known_by_their_key_and_never_by_a_cookie(rig: Rig) -> None:
    browser = rig.member()

    answer = browser.get("/api/v1/me")

    assert answer.status_code == 401
    assert answer.json is not None
    assert answer.json["error"]["code"] == "invalid_api_key"


def test_the_cookie_of_forms_is_bound_to_this_host(rig: Rig) -> None:
    answer = rig.browser().get("/login")

    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{FORM_COOKIE}=")
    assert "__Host-" in FORM_COOKIE
    assert "Secure" in cookie
    assert "HttpOnly" in cookie


def test_a_session_cookie_that_somebody_made_up_opens_nothing(rig: Rig) -> None:
    browser = Browser(rig, rig.app.test_client())
    for value in ("", "0" * 52, "x" * 3000, "' OR 1=1 --"):
        browser.client.set_cookie(SESSION_COOKIE, value, domain="registry.example")

        assert browser.get("/sites").status_code == 303


def test_a_form_shown_to_a_session_that_is_over_can_be_sent(rig: Rig) -> None:
    browser = rig.browser()
    browser.client.set_cookie(SESSION_COOKIE, "0" * 52, domain="registry.example")

    assert browser.post("/login", email="ana@umoja.example").status_code == 303


def _unsafe_addresses(rig: Rig) -> list[str]:
    """Every address of a page that takes a POST, with some id in it."""
    rules = [rule for rule in rig.app.url_map.iter_rules() if "POST" in (rule.methods or ())]
    pages = [rule.rule for rule in rules if not rule.rule.startswith(PROGRAM_PATHS)]
    return sorted({re.sub(r"<[^>]+>", "x", rule) for rule in pages})
