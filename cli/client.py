"""Calls to the registry's JSON API."""

from typing import TypeVar

import click
import httpx
import msgspec

from cli.answers import Answer, ModelList, Problem
from cli.exits import Stopped, stopped
from cli.session import Session
from protocol.balance import BALANCE_STATE
from protocol.exits import RETRYABLE

T = TypeVar("T")

TIMEOUT_S = 30.0
GATEWAY_ERRORS = frozenset({502, 504})
"""A proxy before the registry did not reach it."""

USER_AGENT = "outstation-cli"
BALANCE_WARNINGS = {
    "low": "the balance lasts less than a day; see `outstation balance`.",
    "critical": "the balance lasts less than an hour, then workloads stop; add funds.",
    "depleted": "the balance is used up: workloads stop and nothing can be launched; add funds.",
    "frozen": "the balance is frozen; Billing says why.",
    "closed": "this account is closed.",
}


class Client:
    """One registry, one key."""

    def __init__(self, session: Session, *, timeout_s: float = TIMEOUT_S) -> None:
        self._warned = False
        self._http = httpx.Client(
            base_url=session.url,
            timeout=timeout_s,
            headers={"Authorization": f"Bearer {session.key}", "User-Agent": USER_AGENT},
            trust_env=False,
        )

    def get(self, path: str, kind: type[T], **query: str | int) -> Answer[T]:
        """Return the answer to a GET."""
        return self._answer(self._sent("GET", path, params=query), kind)

    def post(self, path: str, body: object, kind: type[T], *, idempotency_key: str) -> Answer[T]:
        """Return the answer to a POST; sent again with the same key, it is done once."""
        sent = self._sent(
            "POST",
            path,
            content=msgspec.json.encode(body),
            headers={"Idempotency-Key": idempotency_key, "Content-Type": "application/json"},
        )
        return self._answer(sent, kind)

    def models(self) -> ModelList:
        """Return the models this key may call."""
        response = self._sent("GET", "/api/v1/models")
        if response.status_code != 200:
            raise self._refused(response)
        found = msgspec.json.decode(response.content, type=ModelList)
        return msgspec.structs.replace(found, request_id=response.headers.get("X-Request-Id", ""))

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def _sent(self, method: str, path: str, **options: object) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **options)  # type: ignore[arg-type]  # httpx's many options
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise stopped(
                "unreachable",
                f"{self._http.base_url} does not answer ({type(error).__name__}).",
                f"Check your network, or whether {self._http.base_url} opens in a browser; "
                "`outstation login --url URL` sets another address.",
                retryable=True,
            ) from None
        self._warn(answer.headers.get(BALANCE_STATE, ""))
        return answer

    def _warn(self, state: str) -> None:
        """Say on stderr, once, that money is short: what is on stdout stays as it is."""
        said = BALANCE_WARNINGS.get(state)
        if said is not None and not self._warned:
            self._warned = True
            click.echo(f"warning: {said}", err=True)

    def _answer(self, response: httpx.Response, kind: type[T]) -> Answer[T]:
        if response.status_code >= 400:
            raise self._refused(response)
        try:
            answer = msgspec.json.decode(response.content, type=Answer[kind])  # type: ignore[valid-type]  # chosen at run time
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise self._foreign(response) from None
        return answer

    def _refused(self, response: httpx.Response) -> Stopped:
        try:
            answer = msgspec.json.decode(response.content, type=Answer[object])
        except (msgspec.DecodeError, msgspec.ValidationError):
            return self._openai_refused(response)
        if answer.error is None:
            return self._foreign(response)
        return Stopped(answer.error, status=response.status_code, request_id=answer.request_id)

    def _openai_refused(self, response: httpx.Response) -> Stopped:
        class Refused(msgspec.Struct):
            error: Problem

        try:
            refused = msgspec.json.decode(response.content, type=Refused)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return self._foreign(response)
        return Stopped(refused.error, status=response.status_code)

    def _foreign(self, response: httpx.Response) -> Stopped:
        return stopped(
            "unreachable",
            f"{self._http.base_url} answered {response.status_code}, not as a registry does.",
            "Check the address: it is the one you open in the browser. "
            "`outstation login --url URL` sets another.",
            retryable=response.status_code in RETRYABLE or response.status_code in GATEWAY_ERRORS,
        )
