"""Keys, paces, prices and the choice of a backend: rules without a world."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gateway.admission import Admission
from agent.gateway.backends import Backend, Backends, Discovered
from agent.gateway.key_ring import key_ring, read_key
from agent.gateway.metered import Tally
from agent.gateway.price_list import ModelPrices, PriceList, Tokens
from protocol.clock import HOUR_MS, MINUTE_MS
from protocol.key_set import ApiKeyFact, KeySet, secret_hash
from protocol.price import Price
from protocol.refusal import Refusal

SECRET = "ok_" + "a" * 52
KEY = ApiKeyFact(key_id="k_1", hash=secret_hash(SECRET), tenant_id="t_1", project_id="p_1")
RING = key_ring(KeySet(node_id="n_1", version=1, issued_at_ms=0, stale_at_ms=1_000, keys=(KEY,)))


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "",
        SECRET,
        "Bearer",
        "Bearer ",
        f"Basic {SECRET}",
        f"Bearer {SECRET[:-1]}",
        f"Bearer {SECRET}a",
        f"Bearer {SECRET} {SECRET}",
        f"Bearer {SECRET[:-1]}b",
        f"Bearer {SECRET.upper()}",
        f"Bearer {KEY.hash}",
        f"Bearer {SECRET[:-1]}ａ",
    ],
)
def test_anything_but_the_secret_of_a_key_is_nobody(sent: str | None) -> None:
    with pytest.raises(Refusal) as refusal:
        read_key(RING, sent, now_ms=0)

    assert (refusal.value.status, refusal.value.code) == (401, "invalid_api_key")
    assert SECRET not in str(refusal.value)


def test_the_secret_of_a_key_is_that_key_until_the_set_is_stale() -> None:
    assert read_key(RING, f"Bearer {SECRET}", now_ms=999) is KEY
    assert read_key(RING, f"bearer  {SECRET} ", now_ms=0) is KEY
    with pytest.raises(Refusal, match="key_set_stale"):
        read_key(RING, f"Bearer {SECRET}", now_ms=1_000)
    with pytest.raises(Refusal, match="key_set_stale"):
        read_key(None, f"Bearer {SECRET}", now_ms=0)


@given(gaps=st.lists(st.integers(0, 20_000), min_size=1, max_size=60), limit=st.integers(1, 30))
def test_no_minute_has_more_than_twice_the_limit_and_waiting_as_told_suffices(
    gaps: list[int], limit: int
) -> None:
    admission = Admission()
    key = ApiKeyFact(
        key_id="k", hash="0" * 64, tenant_id="t", project_id="p", requests_per_minute=limit
    )
    admitted: list[int] = []
    now_ms = 0
    for gap in gaps:
        now_ms += gap
        wait_s = _wait_s(admission, key, now_ms)
        now_ms += wait_s * 1_000
        with admission.admitted(key, now_ms=now_ms):
            admitted.append(now_ms)

    for begin in admitted:
        assert sum(begin <= at < begin + MINUTE_MS for at in admitted) <= 2 * limit
    assert admission.under_way == 0


def test_the_node_takes_only_so_many_calls() -> None:
    admission = Admission(calls_max=1)

    with (
        admission.admitted(KEY, now_ms=0),
        pytest.raises(Refusal, match="node_busy"),
        admission.admitted(KEY, now_ms=0),
    ):
        pass
    with admission.admitted(KEY, now_ms=0):
        assert admission.under_way == 1


def price(meter: str, num: int, den: int = 1_000, effective_at_ms: int = 0) -> Price:
    return Price(sku="m", meter=meter, version=1, num=num, den=den, effective_at_ms=effective_at_ms)


tokens = st.builds(Tokens, st.integers(0, 5_000), st.integers(0, 5_000), st.integers(0, 1))


@given(used=st.lists(tokens, max_size=30), num=st.integers(0, 10_000))
def test_calls_cost_together_what_their_stream_costs_and_none_more_than_its_worst(
    used: list[Tokens], num: int
) -> None:
    prices = ModelPrices(price("tok.in", num), price("tok.out", num * 2), None)
    tally = Tally()

    costs = [tally.cost(("k", "m"), each, prices) for each in used]

    whole = Tokens()
    for each, cost in zip(used, costs, strict=True):
        whole = whole.plus(each)
        assert 0 <= cost <= prices.worst(each)
    assert sum(costs) == prices.cost(Tokens(), whole)


def test_a_price_takes_effect_on_its_hour_and_a_model_without_one_is_not_sold() -> None:
    listed = PriceList([price("tok.in", 1), price("tok.in", 9, effective_at_ms=HOUR_MS)])

    before, after = (listed.get("m", at_ms=at_ms) for at_ms in (HOUR_MS - 1, HOUR_MS))

    assert before.tokens_in is not None
    assert after.tokens_in is not None
    assert (before.tokens_in.num, after.tokens_in.num) == (1, 9)
    with pytest.raises(Refusal, match="model_not_sold"):
        listed.get("other", at_ms=0)
    assert PriceList([price("gpu.ms", 1)]).find("m", at_ms=0) is None


def test_the_backend_with_the_least_in_flight_is_chosen_and_a_failed_one_last() -> None:
    first, second = Backend("first", "http://a"), Backend("second", "http://b/v1")
    backends = Backends([first, second])
    for backend in (first, second):
        assert backends.note_answer(backend, [Discovered("m")])
    busy, idle = backends.standings()
    busy.in_flight = 3

    assert names(backends) == ["second", "first"]
    backends.note_failure(idle, now_ms=0)
    assert names(backends) == ["first", "second"]
    assert names(backends, now_ms=60_000) == ["second", "first"]
    assert second.endpoint("models") == "http://b/v1/models"


def test_a_silent_backend_is_not_chosen_and_a_replaced_one_is_asked_anew() -> None:
    backend = Backend("one", "http://a")
    backends = Backends([backend])
    backends.note_answer(backend, [Discovered("m", 100)])

    assert backends.note_silence(backend, "no answer")
    with pytest.raises(Refusal, match="model_not_ready"):
        names(backends)
    assert [model.ready for model in backends.served_models()] == [False]
    elsewhere = Backend("one", "http://elsewhere")
    backends.take([elsewhere])
    with pytest.raises(Refusal, match="model_not_ready"):
        names(backends)
    assert not backends.note_answer(backend, [Discovered("m")])
    assert backends.note_answer(elsewhere, [Discovered("other")])
    with pytest.raises(Refusal, match="model_not_found"):
        names(backends)


def test_before_a_backend_has_answered_a_model_it_may_serve_is_not_unknown() -> None:
    backends = Backends([Backend("one", "http://a", models=("m",), tenant_id="t_1")])

    with pytest.raises(Refusal, match="model_not_ready"):
        backends.choices("m", tenant_id="t_1", now_ms=0)
    for model, tenant_id in (("other", "t_1"), ("m", "t_2")):
        with pytest.raises(Refusal, match="model_not_found"):
            backends.choices(model, tenant_id=tenant_id, now_ms=0)


def test_only_the_models_named_for_a_backend_and_fit_for_a_record_are_offered() -> None:
    backend = Backend("one", "http://a", models=("m", 'q"'))
    backends = Backends([backend])

    backends.note_answer(
        backend, [Discovered("m"), Discovered("other"), Discovered('q"'), Discovered("m" * 65)]
    )

    assert [model.name for model in backends.models_for("t")] == ["m"]


def names(backends: Backends, now_ms: int = 0) -> list[str]:
    return [
        standing.backend.name for standing in backends.choices("m", tenant_id="t", now_ms=now_ms)
    ]


def _wait_s(admission: Admission, key: ApiKeyFact, now_ms: int) -> int:
    """Return how long the key is told to wait; nothing is admitted by asking."""
    probe = copy.deepcopy(admission)
    try:
        with probe.admitted(key, now_ms=now_ms):
            return 0
    except Refusal as refusal:
        return refusal.retry_after_s or 0
