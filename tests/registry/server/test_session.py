"""A session's cookie is taken away by the end of the session and by nothing else."""

from registry.server.session import SESSION_COOKIE
from tests.registry.rig import BASE_URL, Rig


def test_attack_75_a_call_without_an_api_key_signs_nobody_out(rig: Rig) -> None:
    browser = rig.member()

    answer = browser.get("/api/v1/me")

    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers
    assert browser.get("/").status_code == 200


def test_the_cookie_of_a_session_that_is_over_is_taken_away(rig: Rig) -> None:
    browser = rig.member()
    kept = browser.client.get_cookie(SESSION_COOKIE, domain="registry.example")
    assert kept is not None
    browser.post("/logout")

    browser.client.set_cookie(SESSION_COOKIE, kept.value, domain="registry.example", secure=True)
    answer = browser.client.get("/", base_url=BASE_URL)

    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/login")
    assert f"{SESSION_COOKIE}=;" in answer.headers["Set-Cookie"]
