"""A registry to test against: the real application, a clock that is set, mail that is kept."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from protocol.ids import ENTROPY_BYTES
from protocol.ids import new_id as make_id
from registry.accounts.letters import Letter
from registry.accounts.operations import Caller
from registry.app import create_app
from registry.config import Config, Mail, Stripe
from registry.drivers.keyfile import read_or_create_key
from registry.payments.provider import Payments
from registry.server.application import Application
from registry.store.database import Database
from registry.store.migrate import migrate
from tests.services.databases import Databases

START_MS = 1_795_176_000_000
BASE_URL = "https://registry.example"
HOST = "registry.example"
ADMIN = "root@operator.example"


@dataclass(slots=True)
class SetClock:
    """A clock that stands still until it is set."""

    at_ms: int = START_MS

    def __call__(self) -> int:
        return self.at_ms

    def forward(self, ms: int) -> None:
        self.at_ms += ms


@dataclass(slots=True)
class CountedEntropy:
    """Bytes that look random, are all different, and the same in every run."""

    count: int = 0

    def __call__(self, size: int) -> bytes:
        self.count += 1
        return hashlib.shake_256(f"entropy {self.count}".encode()).digest(size)


@dataclass(slots=True)
class KeptMail:
    """Letters that were sent, oldest first."""

    letters: list[Letter] = field(default_factory=list)

    def send(self, letter: Letter) -> None:
        self.letters.append(letter)


@dataclass(slots=True)
class Rig:
    """A registry and its surroundings."""

    app: Application
    database: Database
    clock: SetClock
    entropy: CountedEntropy
    mail: KeptMail
    config: Config

    def new_id(self, kind: str) -> str:
        return make_id(kind, now_ms=self.clock(), entropy=self.entropy(ENTROPY_BYTES))

    def caller(self) -> Caller:
        return Caller(self.clock(), "192.0.2.7", "r_test", self.new_id, self.entropy)

    def browser(self) -> "Browser":
        return Browser(self, self.app.test_client())

    def signed_in(self, email: str = "ana@umoja.example") -> "Browser":
        """A browser of somebody who signed in by the link of a letter."""
        browser = self.browser()
        browser.sign_in(email)
        return browser

    def member(self, email: str = "ana@umoja.example", *, intent: str = "both") -> "Browser":
        """A browser of the owner of an organization of their own."""
        browser = self.signed_in(email)
        answer = browser.post("/onboarding", name=f"Org of {email}", intent=intent, use_case="")
        assert answer.status_code == 303, answer.text
        return browser


@dataclass(slots=True)
class Browser:
    """A browser that fills in forms: it takes the token from the page and sends it along."""

    rig: Rig
    client: FlaskClient

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, base_url=BASE_URL, headers=_headers(headers))

    def post(self, path: str, **fields: str) -> TestResponse:
        """Post a form as a page of ours would."""
        filled = {"csrf_token": self.token(), **fields}
        if "idempotency_key" not in filled:
            filled["idempotency_key"] = self.rig.new_id("request")
        return self.client.post(path, base_url=BASE_URL, data=filled)

    def token(self) -> str:
        page = self.get("/login")
        if page.status_code == 303:
            page = self.get("/onboarding")
        found = re.search(r'name="csrf_token" value="([0-9a-f]+)"', page.text)
        assert found is not None, page.text
        return found.group(1)

    def sign_in(self, email: str) -> TestResponse:
        answer = self.post("/login", email=email)
        assert answer.status_code == 303, answer.text
        path = link_path(self.rig.mail.letters[-1])
        found = re.search(r'name="token" value="([^"]+)"', self.get(path).text)
        assert found is not None
        signed_in = self.post("/login/confirm", token=found.group(1), next="/")
        assert signed_in.status_code == 303, signed_in.text
        return signed_in


@contextmanager
def running(
    databases: Databases,
    folder: Path,
    *,
    demo: bool = False,
    trusted_hosts: tuple[str, ...] = (),
    stripe: Stripe | None = None,
    payments: Payments | None = None,
    clock: SetClock | None = None,
    base_url: str = BASE_URL,
) -> Iterator[Rig]:
    """A registry over a migrated database of its own."""
    url = databases.copy_of("registry", migrate)
    config = Config(
        base_url=base_url,
        stripe=stripe,
        mail=Mail(sender="registry@registry.example", outbox=str(folder / "outbox")),
        domain=HOST,
        database=url,
        key_file=str(folder / "registry.key"),
        demo=demo,
        trusted_hosts=trusted_hosts,
        platform_admins=(ADMIN,),
    )
    read_or_create_key(Path(config.key_file))
    database = Database(url)
    clock = clock or SetClock()
    entropy, mail = CountedEntropy(), KeptMail()
    app = create_app(
        config, database=database, clock=clock, entropy=entropy, mail=mail, payments=payments
    )
    try:
        yield Rig(app, database, clock, entropy, mail, config)
    finally:
        database.close()


def link_path(letter: Letter) -> str:
    """The address in a sign-in letter, from its host on."""
    found = re.search(rf"{re.escape(BASE_URL)}(/login/confirm\S+)", letter.text)
    assert found is not None, letter.text
    return found.group(1)


def code_in(letter: Letter) -> str:
    """The code in a sign-in letter."""
    found = re.search(r"\b[0-9]{6}\b", letter.text)
    assert found is not None
    return found.group(0)


def _headers(named: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in named.items()}
