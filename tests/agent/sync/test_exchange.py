"""What an answer may change: newer, signed, for this node, and not most of the work at once."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sync.exchange import (
    BACKOFF_MS_MAX,
    Change,
    Held,
    Observed,
    backoff_ms,
    change,
    checked_enrolment,
    interval_ms,
    needs_confirmation,
    pinned_key_id,
    sync_request,
)
from protocol import desired, key_set
from protocol.desired import DesiredAllocation, DesiredState
from protocol.enrolment import EnrolAnswer, EnrolRequest, TrustKey
from protocol.key_set import KeySet
from protocol.manifest import Manifest
from protocol.observed import HostFacts
from protocol.refusal import Refusal, SignatureRefused
from protocol.signing import Envelope, SigningKey, key_id, public_bytes, seal
from protocol.sync import LogAnswer, SyncAnswer
from tests.fakes.agent_store import NODE_ID, NODE_KEY, REGISTRY_KEY, REGISTRY_PUBLIC
from tests.fakes.registry_uplink import TRUST, other_trust

HOST = HostFacts("host", 2, 4096, 1000, "docker 20.10", "6.1")
SECRET = f"nk_{'0' * 52}_{TRUST.key_id}"


def test_a_first_desired_state_and_key_set_are_taken() -> None:
    after = _change(_held(), _answer(state=_state(1, "abc"), keys=_keys(1)))

    assert after.desired is not None
    assert after.desired[0].generation == 1
    assert after.key_set is not None
    assert after.refused == ()


@given(st.integers(0, 20), st.integers(0, 20))
def test_a_generation_never_goes_back(held: int, came: int) -> None:
    after = _change(_held(state=_state(held, "a")), _answer(state=_state(came, "a")))

    assert (after.desired is not None) == (came > held)
    assert bool(after.refused) == (came < held)


@given(
    st.tuples(st.integers(0, 3), st.integers(0, 3)), st.tuples(st.integers(0, 3), st.integers(0, 3))
)
def test_a_key_set_is_replaced_by_a_newer_or_fresher_one_alone(
    held: tuple[int, int], came: tuple[int, int]
) -> None:
    after = _change(_held(keys=_keys(*held)), _answer(keys=_keys(*came)))

    assert (after.key_set is not None) == (came > held)


@pytest.mark.parametrize(
    "envelope",
    [
        seal(DesiredState(NODE_ID, 2, (), ()), purpose=desired.PURPOSE, key=NODE_KEY),
        seal(DesiredState("n_2", 2, (), ()), purpose=desired.PURPOSE, key=REGISTRY_KEY),
        seal(DesiredState(NODE_ID, 2, (), ()), purpose=key_set.PURPOSE, key=REGISTRY_KEY),
        seal({"nonsense": 1}, purpose=desired.PURPOSE, key=REGISTRY_KEY),
        Envelope(desired.PURPOSE, TRUST.key_id, "{}", "AAAA"),
    ],
    ids=["stranger's key", "another node's", "another purpose", "unreadable", "forged"],
)
def test_a_document_that_does_not_count_leaves_all_else_as_it_is(envelope: Envelope) -> None:
    held = _held(state=_state(1, "abc"))

    after = _change(held, _answer(envelope=envelope, keys=_keys(1)))

    assert after.desired is None
    assert len(after.refused) == 1
    assert after.key_set is not None


def test_an_answer_that_ends_most_of_the_work_must_come_twice() -> None:
    held = _held(state=_state(1, "abcd"))
    answer = _answer(state=_state(2, "d", gone="abc"))

    first = _change(held, answer)
    second = _change(_held(state=_state(1, "abcd"), held_back=first.held_back_generation), answer)

    assert first.desired is None
    assert first.held_back_generation == 2
    assert "once more" in first.refused[0]
    assert second.desired is not None
    assert second.held_back_generation is None


def test_an_older_answer_does_not_confirm_a_newer_one() -> None:
    held = _held(state=_state(1, "abcd"), held_back=9)

    assert needs_confirmation(held, _state(2, "d", gone="abc"))


@pytest.mark.parametrize(
    ("wanted", "brakes"),
    [
        ("ab gone cd", False),
        ("a gone bcd", True),
        ("gone abcd", True),
        ("abc gone d", False),
        ("", False),
    ],
)
def test_the_brake_is_for_more_than_half_of_three_or_more(wanted: str, brakes: bool) -> None:
    stay, _, gone = wanted.partition("gone")

    state = _state(2, stay.strip(), gone=gone.strip())

    assert needs_confirmation(_held(state=_state(1, "abcd")), state) == brakes


def test_two_of_two_may_end_at_once_and_an_empty_list_is_no_order() -> None:
    assert not needs_confirmation(_held(state=_state(1, "ab")), _state(2, "", gone="ab"))
    after = _change(_held(state=_state(1, "abcdef")), _answer(state=_state(2, "")))
    assert after.desired is not None
    assert after.desired[0].allocations == ()


def test_stated_keys_replace_the_trusted_ones_but_never_the_one_that_signed() -> None:
    new, false = other_trust(7), TrustKey(key_id="0" * 16, public_key=other_trust(8).public_key)

    after = _change(_held(), _answer(trust=(new, false)))

    assert {trust.key_id for trust in after.trust_keys} == {new.key_id, TRUST.key_id}


def test_a_document_of_a_key_stated_in_the_same_answer_counts() -> None:
    stated = TrustKey(key_id(public_bytes(NODE_KEY)), public_bytes(NODE_KEY).hex())
    envelope = seal(_state(3, "a"), purpose=desired.PURPOSE, key=NODE_KEY)

    after = _change(_held(), _answer(envelope=envelope, trust=(TRUST, stated)))

    assert after.desired is not None


def test_a_request_says_what_is_held() -> None:
    observed = Observed("http://10.0.0.1:8090", HOST, (), (), (), ())
    held = _held(state=_state(4, "a"), keys=_keys(6, 99))

    request = sync_request(
        held,
        observed,
        sequence=3,
        sent_at_ms=5,
        node_time_ms=6,
        leases=[],
        log=None,
        agent_version="1",
    )

    assert (request.desired_generation, request.key_set_version) == (4, 6)
    assert request.key_set_issued_at_ms == 99


def test_the_registry_that_answers_an_enrolment_must_be_the_one_that_the_secret_pins() -> None:
    stranger = other_trust(9)
    lying = TrustKey(key_id=TRUST.key_id, public_key=stranger.public_key)

    assert checked_enrolment(_enrolment(), _enrolled(stranger, TRUST)) == REGISTRY_PUBLIC
    for keys in [(stranger,), (lying,)]:
        with pytest.raises(SignatureRefused, match="not the one that issued"):
            checked_enrolment(_enrolment(), _enrolled(*keys))


@pytest.mark.parametrize("secret", ["", "nk_short_0000000000000000", SECRET + "0", SECRET.upper()])
def test_what_is_no_secret_is_refused_before_it_is_sent(secret: str) -> None:
    with pytest.raises(Refusal) as refused:
        pinned_key_id(secret)

    assert (refused.value.code, refused.value.field) == ("secret_malformed", "secret")


@given(st.integers(1, 1000), st.integers(0, 999_999), st.integers(0, 10**7))
def test_waits_after_failures_are_bounded_and_honour_what_is_asked(
    failures: int, chance: int, asked_ms: int
) -> None:
    wait_ms = backoff_ms(failures, chance=chance, retry_after_ms=asked_ms)

    assert asked_ms <= wait_ms <= max(asked_ms, BACKOFF_MS_MAX)


def test_waits_double_from_half_a_second_to_thirty() -> None:
    longest = [backoff_ms(n, chance=999_999, retry_after_ms=0) for n in range(1, 9)]

    assert longest == [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]


@given(st.integers(100, 3_600_000), st.integers(0, 999_999))
def test_calls_spread_by_a_quarter(period_ms: int, chance: int) -> None:
    assert abs(interval_ms(period_ms, chance=chance) - period_ms) <= period_ms // 4


@given(st.permutations(range(1, 6)), st.data())
def test_answers_doubled_and_out_of_order_end_at_the_newest(
    order: list[int], data: st.DataObject
) -> None:
    arriving = list(itertools.chain(order, data.draw(st.lists(st.sampled_from(order), max_size=5))))
    held = _held()
    for generation in arriving:
        after = _change(held, _answer(state=_state(generation, "a")))
        if after.desired is not None:
            held = _held(state=after.desired[0])

    assert held.desired is not None
    assert held.desired.generation == 5


def _held(
    *,
    state: DesiredState | None = None,
    keys: KeySet | None = None,
    held_back: int | None = None,
) -> Held:
    return Held(
        node_id=NODE_ID,
        boot_id="boot",
        trusted={TRUST.key_id: REGISTRY_PUBLIC},
        desired=state,
        key_set=keys,
        held_back_generation=held_back,
    )


def _state(generation: int, running: str, *, gone: str = "") -> DesiredState:
    phases = [(name, "running") for name in running] + [(name, "absent") for name in gone]
    return DesiredState(
        node_id=NODE_ID,
        generation=generation,
        allocations=tuple(
            DesiredAllocation(
                allocation_id=f"a_{name}",
                tenant_id="t_1",
                project_id="p_1",
                sku="sim.1x",
                accelerator_count=1,
                accelerator_model="sim",
                cpu_milli=1,
                memory_mib=1,
                disk_mib=1,
                manifest=Manifest(image="x"),
                phase=phase,  # type: ignore[arg-type]
            )
            for name, phase in phases
        ),
        prices=(),
    )


def _keys(version: int, issued_at_ms: int = 1) -> KeySet:
    return KeySet(NODE_ID, version, issued_at_ms, issued_at_ms + 1_000, ())


def _answer(
    *,
    state: DesiredState | None = None,
    keys: KeySet | None = None,
    envelope: Envelope | None = None,
    trust: tuple[TrustKey, ...] = (TRUST,),
    key: SigningKey = REGISTRY_KEY,
) -> SyncAnswer:
    if state is not None:
        envelope = seal(state, purpose=desired.PURPOSE, key=key)
    return SyncAnswer(
        now_ms=0,
        log=LogAnswer(epoch=0, size=0),
        leases=(),
        trust_keys=trust,
        next_interval_ms=15_000,
        desired=envelope,
        key_set=None if keys is None else seal(keys, purpose=key_set.PURPOSE, key=key),
    )


def _change(held: Held, answer: SyncAnswer) -> Change:
    return change(held, answer, signed_by=TRUST.key_id)


def _enrolment() -> EnrolRequest:
    return EnrolRequest(SECRET, "0" * 64, "1", 1, "boot", "http://h", HOST, ())


def _enrolled(*keys: TrustKey) -> EnrolAnswer:
    return EnrolAnswer(NODE_ID, "node", "site", "registry.example", 0, keys)
