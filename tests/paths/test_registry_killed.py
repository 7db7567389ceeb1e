"""The registry dies or is away: nodes go on, and all they recorded is charged exactly once."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import openai
import pytest

from tests.paths.site import MODEL, Site

pytestmark = pytest.mark.docker

PROMPT = "what stands at the edge"
WAITING = 300
CALLS_AT_ONCE = 20
WAVES_MAX = 60


@dataclass
class Caller:
    """Somebody who calls the model all the time, by one key."""

    site: Site
    answered: int = 0
    refused: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def call(self) -> None:
        with self.site.client(max_retries=0) as client:
            while not self.done.is_set():
                try:
                    ask(client)
                    self.answered += 1
                except openai.OpenAIError as error:
                    self.refused.append(repr(error))
                time.sleep(0.05)


def ask(client: openai.OpenAI) -> None:
    said = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": PROMPT}], max_tokens=2
    )
    assert said.usage is not None
    assert said.usage.completion_tokens == 2


@contextmanager
def calling(site: Site) -> Iterator[Caller]:
    """Calls that go on in the background."""
    caller = Caller(site)
    thread = threading.Thread(target=caller.call)
    thread.start()
    try:
        yield caller
    finally:
        caller.done.set()
        thread.join()


def test_a_killed_registry_stops_no_work_and_no_call_and_is_told_everything_once(
    site: Site,
) -> None:
    allocation_id = site.launch()
    before = site.container_of(allocation_id)
    with calling(site) as caller:
        site.wait("calls", lambda: caller.answered > 5)
        site.kill("registry")
        answered, recorded = caller.answered, len(site.uses(allocation_id))
        site.wait("calls without a registry", lambda: caller.answered > answered + 20)
        site.wait("usage meanwhile", lambda: len(site.uses(allocation_id)) > recorded + 1)
        assert site.container_of(allocation_id) == before
        site.start_registry()
        answered = caller.answered
        site.wait("calls after its return", lambda: caller.answered > answered + 5)
    assert caller.refused == []

    site.release(allocation_id)
    called = [one for one in site.entries() if one["k"] == "use" and one["m"] == "tok.out"]
    assert sum(one["q"] for one in called) == 2 * caller.answered
    assert_books_say_what_the_log_says(site)


def test_hundreds_of_records_that_waited_are_all_charged_once(site: Site) -> None:
    site.wait_until_billed()
    called_before = tokens_out(site)
    allocation_id = site.launch()
    site.stop("registry")
    begun = site.accepted()

    answered = asyncio.run(pile_up(site, site.customer().keys, begun))
    waiting = site.log_size() - begun
    assert waiting >= WAITING
    assert site.accepted() == begun
    posted = site.journals()

    site.start_registry()
    site.wait("all that waited", lambda: site.accepted() >= begun + waiting)
    site.release(allocation_id)
    assert len(site.journals()) > len(posted)
    assert tokens_out(site) - called_before == 2 * answered
    assert_books_say_what_the_log_says(site)
    assert_nothing_is_told_twice(site)


async def pile_up(site: Site, keys: Sequence[str], begun: int) -> int:
    """Call with many keys until enough entries wait; return how many calls were answered."""
    base_url = f"{site.setting.gateway_url}/v1"
    limit = asyncio.Semaphore(CALLS_AT_ONCE)
    answered: Counter[str] = Counter()
    async with openai.AsyncOpenAI(base_url=base_url, api_key="per call", max_retries=0) as client:

        async def call(key: str) -> None:
            async with limit:
                said = await client.with_options(api_key=key).chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": PROMPT}], max_tokens=2
                )
            assert said.usage is not None
            answered[key] += 1

        for _ in range(WAVES_MAX):
            await asyncio.gather(*map(call, keys))
            if site.log_size() - begun >= WAITING:
                break
    assert set(answered) == set(keys)
    return answered.total()


def tokens_out(site: Site) -> int:
    return sum(one["q"] for one in site.entries() if one.get("m") == "tok.out")


def assert_books_say_what_the_log_says(site: Site) -> None:
    assert site.accepted() == site.log_size()
    assert site.postings_sum() == 0
    assert site.charged() == site.rated()
    assert site.ledger_problems() == []
    assert site.verify_log()["intact"] is True
    assert site.open_findings() == []


def assert_nothing_is_told_twice(site: Site) -> None:
    """The same answer again and again changes nothing: the books stand still when the log does."""
    journals, size = site.journals(), site.accepted()
    heard = "SELECT max(sequence) FROM node"
    (calls,) = site.in_registry(heard)[0]
    site.wait("further calls", lambda: site.in_registry(heard)[0][0] > calls + 2)
    assert site.accepted() >= size
    grown = site.journals()
    assert grown[: len(journals)] == journals
    assert site.charged() == site.rated()
