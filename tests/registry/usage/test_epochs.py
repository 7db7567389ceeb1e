"""A node that begins its log anew, with a new key: what was counted stays counted once."""

import base64
from dataclasses import replace

import msgspec

from protocol.checkpoint import log_origin
from protocol.log_events import EpochBegun, origin_parts
from protocol.merkle import EMPTY_FRONTIER
from protocol.sync import LogAnswer
from registry.usage.queries import cost_by_owner
from tests.registry.recording import (
    DOMAIN,
    IDENTITY,
    START_MS,
    Desk,
    Recorder,
    desk,
    minutes,
    node_with_lease,
    opened,
    time_use,
)
from tests.services.databases import Databases

MINUTE_MS = 60_000


def test_attack_48_time_is_not_charged_again_in_a_new_epoch(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(opened("a_1", "GPU-1"), *minutes(10, lease_id=1))
        here.take(node.batch())
        again = after(node)
        again.record(opened("a_1", "GPU-1"), *minutes(10, lease_id=1))

        answer = _taken(here, again)

        assert answer.problem is not None
        assert answer.problem.code == "interval_overlap"
        assert here.within(lambda db: cost_by_owner(db, ["a_1"])) == {"a_1": 416_666}


def test_time_after_the_earlier_epoch_is_charged(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(opened("a_1", "GPU-1"), *minutes(10, lease_id=1))
        here.take(node.batch())
        at_ms = START_MS + 10 * MINUTE_MS
        again = after(node)
        more = time_use(at_ms, at_ms + MINUTE_MS, before=0, lease_id=1)
        again.record(opened("a_1", "GPU-1", at_ms=at_ms), more)

        answer = _taken(here, again)

        assert answer.problem is None
        assert here.within(lambda db: cost_by_owner(db, ["a_1"])) == {"a_1": 416_666 + 41_666}


def after(lost: Recorder) -> Recorder:
    """The log that a node begins after a lost one."""
    root = base64.b64encode(EMPTY_FRONTIER.extended(lost.entries).root()).decode()
    again = Recorder(origin=log_origin(DOMAIN, "n_1", 1))
    again.record(EpochBegun(1, origin_parts(lost.origin), len(lost.entries), root, START_MS))
    return again


def _taken(here: Desk, node: Recorder) -> LogAnswer:
    batch = msgspec.structs.replace(node.batch(), epoch=1)
    return here.take(batch, replace(IDENTITY, epoch=1))
