"""Signing in by mail, and out."""

from protocol.clock import MINUTE_MS
from registry.accounts.sign_in import (
    LETTERS_PER_ADDRESS_AND_SOURCE_MAX,
    LETTERS_PER_ADDRESS_MAX,
    LINK_LIFE_MS,
)
from registry.audit.queries import list_events
from registry.server.session import SESSION_COOKIE
from tests.registry.rig import BASE_URL, Browser, Rig, code_in, link_path

ANA = "ana@umoja.example"


def test_the_link_of_a_letter_signs_in_once_and_only_by_its_button(rig: Rig) -> None:
    browser = rig.browser()
    browser.post("/login", email=ANA, next="/access/api-keys")
    path = link_path(rig.mail.letters[0])
    token = path.partition("token=")[2].partition("&")[0]

    looked_at = browser.get(path)
    still_out = browser.get("/onboarding")
    signed_in = browser.post("/login/confirm", token=token, next="/access/api-keys")
    again = browser.post("/login/confirm", token=token)

    assert "Sign in as a…a@umoja.example" in looked_at.text
    assert still_out.headers["Location"] == "/login?next=%2Fonboarding"
    assert signed_in.headers["Location"] == "/access/api-keys"
    assert browser.get("/onboarding").status_code == 200
    assert again.status_code == 400
    assert "used already" in again.text


def test_the_code_signs_in_the_browser_that_asked_for_it(rig: Rig) -> None:
    browser = rig.browser()
    asked = browser.post("/login", email=ANA)
    page = browser.get(asked.headers["Location"])
    attempt = page.text.partition('name="attempt" value="')[2].partition('"')[0]

    signed_in = browser.post("/login/code", code=code_in(rig.mail.letters[0]), attempt=attempt)

    assert "a…a@umoja.example" in page.text
    assert signed_in.status_code == 303
    assert browser.get("/onboarding").status_code == 200


def test_a_code_can_be_tried_five_times(rig: Rig) -> None:
    browser = rig.browser()
    page = browser.get(browser.post("/login", email=ANA).headers["Location"])
    attempt = page.text.partition('name="attempt" value="')[2].partition('"')[0]
    code = code_in(rig.mail.letters[0])
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"

    answers = [browser.post("/login/code", code=wrong, attempt=attempt) for _ in range(5)]
    right = browser.post("/login/code", code=code, attempt=attempt)

    assert {answer.status_code for answer in answers} == {422}
    assert "This code is wrong" in answers[0].text
    assert right.status_code == 422
    assert browser.get("/onboarding").status_code == 303


def test_a_code_without_its_attempt_is_worth_nothing(rig: Rig) -> None:
    rig.browser().post("/login", email=ANA)
    stranger = rig.browser()

    answer = stranger.post("/login/code", code=code_in(rig.mail.letters[0]), attempt="0" * 52)

    assert answer.status_code == 422


def test_a_link_ends_after_fifteen_minutes(rig: Rig) -> None:
    browser = rig.browser()
    browser.post("/login", email=ANA)
    path = link_path(rig.mail.letters[0])
    rig.clock.forward(LINK_LIFE_MS)

    page = browser.get(path)
    token = path.partition("token=")[2]
    answer = browser.post("/login/confirm", token=token)

    assert page.status_code == answer.status_code == 400


def test_letters_to_one_address_are_limited_and_the_limit_ends(rig: Rig) -> None:
    browser = rig.browser()
    for _ in range(LETTERS_PER_ADDRESS_AND_SOURCE_MAX):
        assert browser.post("/login", email=ANA).status_code == 303

    over = browser.post("/login", email=ANA)
    rig.clock.forward(15 * MINUTE_MS)
    later = browser.post("/login", email=ANA)

    assert over.status_code == 429
    assert int(over.headers["Retry-After"]) == 900
    assert later.status_code == 303


def test_a_stranger_who_asks_for_letters_locks_nobody_out(rig: Rig) -> None:
    stranger, ana = rig.browser(), rig.browser()
    for _ in range(LETTERS_PER_ADDRESS_AND_SOURCE_MAX + 3):
        asked(stranger, source="198.51.100.9")

    assert asked(ana, source="192.0.2.1") == 303


def test_letters_to_one_address_are_limited_over_all_sources(rig: Rig) -> None:
    browser = rig.browser()
    statuses = [
        asked(browser, source=f"198.51.100.{number}") for number in range(LETTERS_PER_ADDRESS_MAX)
    ]

    assert set(statuses) == {303}
    assert asked(browser, source="192.0.2.1") == 429


def asked(browser: Browser, *, source: str) -> int:
    """Ask for a letter to Ana's address from some address."""
    form = {"csrf_token": browser.token(), "email": ANA}
    return browser.client.post(
        "/login", base_url=BASE_URL, data=form, environ_overrides={"REMOTE_ADDR": source}
    ).status_code


def test_known_and_unknown_addresses_get_the_same_answer(rig: Rig) -> None:
    rig.signed_in(ANA)

    known = rig.browser().post("/login", email=ANA)
    unknown = rig.browser().post("/login", email="nobody@umoja.example")

    assert known.status_code == unknown.status_code == 303
    assert known.headers["Location"] == unknown.headers["Location"]
    assert known.text == unknown.text


def test_what_is_no_address_is_refused_beside_its_field(rig: Rig) -> None:
    answer = rig.browser().post("/login", email="<script>@x", next="/billing")

    assert answer.status_code == 422
    assert "This is not an e-mail address." in answer.text
    assert "<script>@x" not in answer.text
    assert 'name="next" value="/billing"' in answer.text


def test_the_link_is_made_from_the_configured_address_whatever_host_is_claimed(rig: Rig) -> None:
    browser = rig.browser()
    data = {"csrf_token": browser.token(), "email": ANA}

    answer = browser.client.post(
        "/login", base_url="https://evil.example", data=data, headers={"Host": "evil.example"}
    )
    browser.post("/login", email=ANA)

    assert answer.status_code == 400
    assert len(rig.mail.letters) == 1
    assert BASE_URL in rig.mail.letters[0].text


def test_the_session_changes_at_sign_in_and_the_old_one_is_dead(rig: Rig) -> None:
    browser = rig.signed_in(ANA)
    before = browser.client.get_cookie(SESSION_COOKIE, domain="registry.example")
    assert before is not None
    browser.post("/login", email=ANA)
    token = link_path(rig.mail.letters[-1]).partition("token=")[2]

    browser.post("/login/confirm", token=token)
    after = browser.client.get_cookie(SESSION_COOKIE, domain="registry.example")
    thief = rig.browser()
    thief.client.set_cookie(SESSION_COOKIE, before.value, domain="registry.example")
    stolen = thief.get("/onboarding")

    assert after is not None
    assert after.value != before.value
    assert stolen.status_code == 303
    assert f"{SESSION_COOKIE}=;" in stolen.headers["Set-Cookie"]


def test_the_session_cookie_is_bound_to_this_host_and_hidden_from_scripts(rig: Rig) -> None:
    browser = rig.browser()

    answer = browser.sign_in(ANA)

    (cookie,) = [
        line
        for line in answer.headers.getlist("Set-Cookie")
        if line.startswith(f"{SESSION_COOKIE}=")
    ]
    assert cookie.startswith("__Host-")
    for word in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert word in cookie
    assert "Domain" not in cookie


def test_a_session_that_was_signed_out_is_dead_everywhere(rig: Rig) -> None:
    browser = rig.signed_in(ANA)
    cookie = browser.client.get_cookie(SESSION_COOKIE, domain="registry.example")
    assert cookie is not None

    answer = browser.post("/logout")
    browser.client.set_cookie(SESSION_COOKIE, cookie.value, domain="registry.example")

    assert answer.headers["Location"] == "/login"
    assert browser.get("/onboarding").status_code == 303


def test_a_session_ends_by_itself_after_a_week(rig: Rig) -> None:
    browser = rig.signed_in(ANA)

    rig.clock.forward(7 * 24 * 60 * MINUTE_MS)

    assert browser.get("/onboarding").status_code == 303


def test_clearing_a_stale_session_forgets_every_cookie(rig: Rig) -> None:
    browser = rig.signed_in(ANA)

    answer = browser.post("/login/clear")

    assert answer.headers["Location"] == "/login?cleared=1"
    assert answer.headers["Clear-Site-Data"] == '"cookies", "storage"'
    expired = [line for line in answer.headers.getlist("Set-Cookie") if "Max-Age=0" in line]
    assert len(expired) == 3
    assert "stale session is cleared" in browser.get("/login?cleared=1").text


def test_after_sign_in_nobody_is_sent_to_another_site(rig: Rig) -> None:
    for target in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:x"):
        browser = rig.browser()
        browser.post("/login", email=f"u{len(rig.mail.letters)}@x.example", next=target)
        token = link_path(rig.mail.letters[-1]).partition("token=")[2].partition("&")[0]

        answer = browser.post("/login/confirm", token=token, next=target)

        assert answer.headers["Location"] == "/"


def test_signing_in_and_out_is_audited(rig: Rig) -> None:
    rig.signed_in(ANA).post("/logout")

    with rig.database.reading() as db:
        events = list_events(db)

    assert [event.action for event in reversed(events)] == ["session.created", "session.ended"]
    assert events[0].source == "127.0.0.1"
    assert events[0].request_id.startswith("r_")
