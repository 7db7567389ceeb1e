"""What a registry refuses of a node's calls over HTTP: each by name, and not a micro moves."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from werkzeug.test import TestResponse

from protocol.canonical import canonical
from protocol.clock import MINUTE_MS
from protocol.http_signature import signed_request_headers
from protocol.observed import AcceleratorFact, HostFacts
from protocol.packing import packed_entries, unpacked_entries
from protocol.sync import LogBatch, SyncAnswer, SyncRequest
from protocol.wire import pack, unpack
from registry.incidents.queries import OpenFinding, list_open
from registry.store.tables.ledger import account, journal, posting
from tests.registry.marketplace import GPU_MODEL, Marketplace, opened_market, uuid_of
from tests.registry.recording import Recorder
from tests.registry.rig import BASE_URL, running
from tests.services.databases import Databases

PATH = "/node/v1/sync"
URL = BASE_URL + PATH
HOST = HostFacts("edge-1", 8, 32_768, 100_000, "Docker Engine 20.10", "6.1")
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(60, 92)))
REFUSED_BATCH = "log_refused"


@dataclass
class Line:
    """The wire between a node that recorded usage and its registry."""

    market: Marketplace
    calls: int = field(default=0)

    @property
    def recorder(self) -> Recorder:
        assert self.market.recorder is not None
        return self.market.recorder

    def records_a_minute(self) -> LogBatch:
        """The node logs another minute of its workload, and has the batch ready to send."""
        use = json.loads(self.recorder.entries[-1])
        use |= {"t0": use["t1"], "t1": use["t1"] + MINUTE_MS, "cum": use["cum"] + MINUTE_MS}
        self.market.rig.clock.forward(MINUTE_MS)
        begin = len(self.recorder.entries)
        self.recorder.record(canonical(use))
        return self.recorder.batch(begin)

    def body(self, log: LogBatch) -> bytes:
        """A sync with this batch, as bytes."""
        self.calls += 1
        cards = (
            AcceleratorFact(uuid_of(at), GPU_MODEL, 81_920, simulated=True, healthy=True)
            for at in range(2)
        )
        request = SyncRequest(
            agent_version="0.1.0",
            protocol=1,
            boot_id="boot-1",
            sequence=self.calls,
            sent_at_ms=self.market.rig.clock(),
            gateway_url="http://10.0.0.9:8090",
            desired_generation=0,
            key_set_version=0,
            host=HOST,
            accelerators=tuple(cards),
            allocations=(),
            models=(),
            findings=(),
            leases=(),
            log=log,
        )
        return pack(request)

    def signature(
        self,
        body: bytes,
        *,
        key: Ed25519PrivateKey | None = None,
        method: str = "POST",
        url: str = URL,
    ) -> dict[str, str]:
        """Headers by which a call is signed: by the node, for this address, unless said else."""
        return signed_request_headers(
            method=method,
            url=url,
            body=body,
            key=key or self.market.node_key,
            now_ms=self.market.rig.clock(),
            nonce=f"nonce-of-call-{self.calls:06d}",
        )

    def sends(self, body: bytes, headers: dict[str, str]) -> TestResponse:
        client = self.market.rig.app.test_client()
        return client.post(PATH, base_url=BASE_URL, data=body, headers=headers)

    def says(self, log: LogBatch) -> SyncAnswer:
        """Make the call as the node does, and read its answer."""
        body = self.body(log)
        answer = self.sends(body, self.signature(body))
        assert answer.status_code == 200, answer.text
        return unpack(answer.data, SyncAnswer)

    def findings(self) -> list[OpenFinding]:
        with self.market.rig.database.reading() as db:
            return list_open(db, node_id=self.market.node_id)

    def books(self) -> list[list[tuple[object, ...]]]:
        """Every row of the ledger."""
        with self.market.rig.database.reading() as db:
            tables = (journal, posting, account)
            rows = [db.rows(select(table).order_by(*table.primary_key)) for table in tables]
            return [[tuple(row) for row in table] for table in rows]


@pytest.fixture
def line(databases: Databases, tmp_path: Path) -> Iterator[Line]:
    """A node whose workload ran for two minutes that are charged."""
    with running(databases, tmp_path, demo=True) as rig:
        market = opened_market(rig)
        allocation_id = market.customer().launched()
        market.runs(allocation_id)
        rig.clock.forward(MINUTE_MS)
        market.uses(allocation_id, 2)
        yield Line(market)


def test_a_whole_call_is_believed_and_charged_once(line: Line) -> None:
    before = line.books()
    batch = line.records_a_minute()

    answer = line.says(batch)

    assert answer.log.problem is None
    assert answer.log.size == len(line.recorder.entries)
    after = line.books()
    assert len(after[0]) == len(before[0]) + 1
    assert line.says(batch).log.problem is None
    assert line.books() == after


def test_an_entry_with_a_flipped_byte_is_refused_and_a_finding_opened(line: Line) -> None:
    batch = line.records_a_minute()
    before = line.books()
    (entry,) = unpacked_entries(batch.entries).entries
    at = entry.index(b'"q":6') + len('"q":')
    flipped = entry[:at] + bytes([entry[at] ^ 1]) + entry[at + 1 :]

    answer = line.says(msgspec.structs.replace(batch, entries=packed_entries([flipped])))

    assert answer.log.problem is not None
    assert answer.log.problem.code == "checkpoint_root"
    assert answer.log.size == batch.begin
    (finding,) = [one for one in line.findings() if one.code == REFUSED_BATCH]
    assert "checkpoint_root" in finding.detail
    assert finding.severity == "critical"
    assert line.books() == before

    assert line.says(batch).log.problem is None
    assert REFUSED_BATCH not in [one.code for one in line.findings()]


def test_a_call_repeated_byte_by_byte_is_refused(line: Line) -> None:
    body = line.body(line.records_a_minute())
    headers = line.signature(body)
    assert line.sends(body, headers).status_code == 200
    before = line.books()

    again = line.sends(body, headers)

    assert_refused(line, again, "signature_replayed", before)


def test_a_forged_signature_is_refused(line: Line) -> None:
    body = line.body(line.records_a_minute())
    before = line.books()
    headers = line.signature(body)
    headers["Signature"] = line.signature(body, key=STRANGER)["Signature"]

    assert_refused(line, line.sends(body, headers), "signature_wrong", before)


def test_another_body_than_the_signed_one_is_refused(line: Line) -> None:
    batch = line.records_a_minute()
    before = line.books()
    headers = line.signature(line.body(batch))
    changed = line.body(msgspec.structs.replace(batch, entries=()))

    assert_refused(line, line.sends(changed, headers), "signature_wrong", before)


@pytest.mark.parametrize(
    "signed_for",
    [
        {"method": "PUT"},
        {"url": f"{BASE_URL}/node/v1/enrol"},
        {"url": f"{URL}?again=1"},
        {"url": f"https://other.example{PATH}"},
    ],
)
def test_a_call_signed_for_something_else_is_refused(
    line: Line, signed_for: dict[str, str]
) -> None:
    body = line.body(line.records_a_minute())
    before = line.books()
    method, url = signed_for.get("method", "POST"), signed_for.get("url", URL)

    answer = line.sends(body, line.signature(body, method=method, url=url))

    assert_refused(line, answer, "signature_wrong", before)


def test_a_call_signed_long_ago_is_refused(line: Line) -> None:
    body = line.body(line.records_a_minute())
    headers = line.signature(body)
    before = line.books()
    line.market.rig.clock.forward(6 * MINUTE_MS)

    assert_refused(line, line.sends(body, headers), "signature_stale", before)


def test_a_call_of_an_unknown_node_is_refused_and_nobody_is_blamed(line: Line) -> None:
    body = line.body(line.records_a_minute())
    before = line.books()

    answer = line.sends(body, line.signature(body, key=STRANGER))

    assert (answer.status_code, answer.get_json()["code"]) == (401, "unknown_key")
    assert line.books() == before
    assert line.findings() == []


def assert_refused(
    line: Line, answer: TestResponse, code: str, before: list[list[tuple[object, ...]]]
) -> None:
    """401 under that name, a finding at the node, the ledger as it was; the node itself goes on."""
    assert (answer.status_code, answer.get_json()["code"]) == (401, code)
    assert answer.get_json()["detail"]
    (finding,) = [one for one in line.findings() if one.code == code]
    assert finding.remedy
    assert line.books() == before
    line.calls += 1
    assert line.says(line.recorder.batch(2)).log.problem is None
