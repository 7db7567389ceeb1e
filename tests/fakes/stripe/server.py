"""Stripe on loopback: its API over real HTTP, its hosted page, and the faults of a test."""

import html
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fakes.stripe.account import CARDS, StripeAccount, StripeSaysNo
from tests.fakes.stripe.addresses import find_route
from tests.fakes.stripe.calls import Call
from tests.fakes.stripe.contract import ContractBroken, checked, read_form
from tests.fakes.stripe.faults import Fault, FaultPlan
from tests.fakes.stripe.shapes import HOSTED_PATH

API_KEY = "sk_test_fake"
KEYS_KEPT_MS = 24 * 3_600_000
PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<title>Pay</title><h1>Pay {amount}</h1>
<form method="post">{cards}<button name="card" value="cancel">Back</button></form>"""
CARD_BUTTON = '<button name="card" value="{card}">Pay with {last4}</button>'


@dataclass
class FakeStripe:
    """A running fake.

    broken  requests that Stripe would not have taken, as paths and words; empty in a good test
    asked   every call, as (method, path, idempotency key)
    """

    account: StripeAccount
    faults: FaultPlan = field(default_factory=FaultPlan)
    broken: list[str] = field(default_factory=list)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    on_paid: Callable[[], None] = lambda: None
    _answered: dict[str, tuple[int, str, tuple[int, dict[str, Any]]]] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        return self.account.base_url

    def answer(self, method: str, path: str, form: str, headers: Any) -> tuple[int, dict[str, Any]]:
        """Return status and body of a call; the same key brings the same answer."""
        with self.account.lock:
            key = headers.get("Idempotency-Key", "")
            self.asked.append((method, path, key))
            if headers.get("Authorization") != f"Bearer {API_KEY}":
                return _refused(401, "invalid_request_error", "Invalid API Key provided")
            if method != "POST" or not key:
                return self._done(method, path, form, headers)
            return self._once(key, method, path, form, headers)

    def _once(
        self, key: str, method: str, path: str, form: str, headers: Any
    ) -> tuple[int, dict[str, Any]]:
        asked = f"{path}?{form}"
        known = self._answered.get(key)
        if known is not None and self.account.clock() - known[0] < KEYS_KEPT_MS:
            if known[1] != asked:
                return _refused(
                    400,
                    "idempotency_error",
                    "Keys for idempotent requests can only be used with the same parameters "
                    "they were first used with.",
                )
            return known[2]
        done = self._done(method, path, form, headers)
        self._answered[key] = (self.account.clock(), asked, done)
        return done

    def _done(self, method: str, path: str, form: str, headers: Any) -> tuple[int, dict[str, Any]]:
        try:
            route, found = find_route(method, path)
            params = checked(read_form(form), route.kind)
            call = Call(self.account, found, params, headers.get("Stripe-Account", ""))
            return 200, json.loads(json.dumps(route.answer(call)))
        except ContractBroken as broken:
            self.broken += [f"{method} {path} {line}" for line in broken.lines]
            return _refused(400, "invalid_request_error", str(broken), code="parameter_unknown")
        except StripeSaysNo as no:
            return no.status, {"error": no.error}

    def page(self, session_id: str) -> str:
        """The hosted page of a session."""
        session = self.account.get(session_id, "checkout.session")
        buttons = "".join(
            CARD_BUTTON.format(card=card, last4=last4) for card, (last4, _) in CARDS.items()
        )
        amount = f"${session['amount_total'] / 100:.2f}"
        return PAGE.format(amount=html.escape(amount), cards=buttons)

    def pressed(self, session_id: str, card: str) -> str:
        """Return where the hosted page leads after a button was pressed."""
        session = self.account.get(session_id, "checkout.session")
        if card == "cancel":
            return str(session["cancel_url"])
        self.account.pay(session_id, card)
        self.on_paid()
        if session["status"] != "complete":
            return str(session["url"])
        return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session_id)


@contextmanager
def running_stripe(clock: Callable[[], int]) -> Iterator[FakeStripe]:
    """Serve a fresh account until the end of the block; a broken contract fails the test."""
    fake = FakeStripe(StripeAccount(clock))
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(fake)) as server:
        server.daemon_threads = True
        fake.account.base_url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
    assert fake.broken == [], fake.broken


def _handler_for(fake: FakeStripe) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            if address.path.startswith(HOSTED_PATH):
                session_id = address.path.removeprefix(HOSTED_PATH)
                self._send(200, fake.page(session_id).encode(), "text/html; charset=utf-8")
            else:
                self._api("GET", address.path, address.query)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            address = urlsplit(self.path)
            if address.path.startswith(HOSTED_PATH):
                card = parse_qs(body)["card"][0]
                target = fake.pressed(address.path.removeprefix(HOSTED_PATH), card)
                self._send(303, b"", "text/plain", Location=target)
            else:
                self._api("POST", address.path, body)

        def _api(self, method: str, path: str, form: str) -> None:
            fault = fake.faults.take(method, path)
            if fault is not Fault.REFUSED:
                status, body = fake.answer(method, path, form, self.headers)
            if fault is Fault.DROPPED:
                self.close_connection = True
                return
            if fault in (Fault.REFUSED, Fault.BROKEN):
                status, body = _refused(500, "api_error", "An unknown error occurred")
            if fault is Fault.SLOW:
                time.sleep(fake.faults.slow_s)
            self._send(status, json.dumps(body).encode(), "application/json")

        def _send(self, status: int, body: bytes, kind: str, **headers: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _refused(status: int, kind: str, message: str, **more: str) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"type": kind, "message": message, **more}}
