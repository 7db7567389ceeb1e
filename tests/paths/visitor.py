"""Somebody at a browser, without one: signs in by the link of a letter and posts forms."""

import re
from dataclasses import dataclass, field
from typing import Any

import httpx

from sites.demo.setting import Setting
from sites.demo.steps import sign_in_link


@dataclass
class Person:
    """One browser profile: its cookies, which a client would not send over plain HTTP by itself."""

    base_url: str
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> httpx.Response:
        return self._sent("GET", path)

    def post(self, path: str, page: str, **fields: str) -> httpx.Response:
        """Post a form with the token that a page holds."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get(page).text)
        assert found is not None, page
        return self._sent("POST", path, data={"csrf_token": found.group(1), **fields})

    def _sent(self, method: str, path: str, **options: Any) -> httpx.Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        with httpx.Client(base_url=self.base_url, trust_env=False, timeout=30) as client:
            headers = {"Origin": self.base_url, "Cookie": cookie}
            answer = client.request(method, path, headers=headers, **options)
        for line in answer.headers.get_list("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer


def signed_in(setting: Setting) -> Person:
    """The owner of the rich organization, signed in by the link of a letter."""
    for letter in (setting.folder / "outbox").glob("*.eml"):
        letter.unlink()
    link = httpx.URL(sign_in_link(setting))
    person = Person(setting.registry_url)
    token = link.params["token"]
    path = link.raw_path.decode()
    answer = person.post("/login/confirm", path, token=token, next="/")
    assert answer.status_code == 303, answer.text
    return person
