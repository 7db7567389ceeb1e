"""Draw a statement up from verified usage, with a receipt at both ends of every line."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from protocol.canonical import read_canonical
from protocol.checkpoint import witness_name
from protocol.clock import next_hour
from protocol.ids import is_id
from protocol.note import TYPE_COSIGNATURE, verifier_key
from protocol.receipt import read_receipt
from protocol.refusal import Fault, Refusal
from protocol.signing import SigningKey, public_bytes
from protocol.statement import (
    FORMAT,
    LINES_MAX,
    LogKeys,
    Statement,
    StatementLine,
    signed_statement,
)
from protocol.usage import TIME_METERS
from registry.catalogue.queries import list_prices
from registry.nodes.node import Node
from registry.nodes.queries import get_node
from registry.statements import queries
from registry.statements.period import MonthSum, months_between, read_month
from registry.statements.search import BLOCK_ENTRIES, Ends, RecordMissing, find_ends
from registry.statements.segments import Segment, segments
from registry.store.database import Db
from registry.tenants.queries import get_tenant
from registry.tenants.roles import not_found
from registry.usage.log_state import Log
from registry.usage.operations import receipt_for
from registry.usage.queries import find_log, list_entries

CURRENCY = "USD"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose statement, of which time between two hour edges, and of one owner alone if one is
    named."""

    tenant_id: str
    tenant_name: str
    subject: str
    begin_ms: int
    end_ms: int
    owner_id: str | None = None


def list_months(db: Db, tenant_id: str, *, now_ms: int) -> list[MonthSum]:
    """Return the months since anything was used, newest first."""
    first_ms = queries.first_hour_ms(db, tenant_id)
    if first_ms is None:
        return []
    return [
        MonthSum(
            month,
            queries.charged_between(db, tenant_id, from_ms=month.begin_ms, to_ms=month.end_ms),
        )
        for month in months_between(first_ms, now_ms)
    ]


def drawn_up(
    db: Db, subject: str, *, tenant_id: str, domain: str, key: SigningKey, now_ms: int
) -> Statement:
    """Return the statement of a month, to date if it is not over, or of one allocation or API key.

    Refuses a subject of which nothing was verified: it is absent, or not this tenant's.
    """
    wanted = _wanted(db, subject, tenant_id=tenant_id, now_ms=now_ms)
    found = list_segments(db, wanted)
    if not found:
        raise not_found("Verified usage for this statement")
    if len(found) > LINES_MAX:
        raise Refusal(
            code="statement_too_long",
            status=413,
            message=f"This statement has {len(found)} lines, more than {LINES_MAX}.",
            hint="Take the statements of single workloads and keys instead.",
        )
    names = queries.names_of(db, tenant_id, (one.stream.owner_id for one in found))
    by_log: dict[tuple[str, int], list[Segment]] = defaultdict(list)
    for segment in found:
        by_log[segment.stream.node_id, segment.stream.epoch].append(segment)
    logs, lines = [], []
    for (node_id, epoch), own in by_log.items():
        log = find_log(db, node_id, epoch)
        if log is None:
            raise Fault(f"{node_id}: usage of a log that is not there")
        logs.append(LogKeys(log.origin, (verifier_key(log.origin, log.public_key),)))
        lines += _lines(db, log, own, names)
    made = Statement(
        format=FORMAT,
        tenant_id=tenant_id,
        tenant_name=wanted.tenant_name,
        subject=subject,
        currency=CURRENCY,
        begin_at_ms=wanted.begin_ms,
        end_at_ms=wanted.end_ms,
        made_at_ms=now_ms,
        witness_vkey=verifier_key(witness_name(domain), public_bytes(key), TYPE_COSIGNATURE),
        logs=tuple(logs),
        lines=tuple(lines),
        total_micros=sum(line.charged_micros for line in lines),
    )
    return signed_statement(made, key)


def _wanted(db: Db, subject: str, *, tenant_id: str, now_ms: int) -> Wanted:
    to_date_ms = next_hour(now_ms)
    name = get_tenant(db, tenant_id).name
    if is_id(subject, "allocation") or is_id(subject, "api_key"):
        return Wanted(tenant_id, name, subject, 0, to_date_ms, owner_id=subject)
    month = read_month(subject)
    return Wanted(tenant_id, name, subject, month.begin_ms, month.end_ms)


def list_segments(db: Db, wanted: Wanted) -> list[Segment]:
    """Return the lines of a statement, before they are proven."""
    hours = queries.list_hours(
        db,
        wanted.tenant_id,
        from_ms=wanted.begin_ms,
        to_ms=wanted.end_ms,
        owner_id=wanted.owner_id,
    )
    owners = {hour.stream.owner_id for hour in hours}
    begun_at = queries.counts_before(db, wanted.tenant_id, owners, before_ms=wanted.begin_ms)
    prices = list_prices(db, sorted({hour.stream.sku for hour in hours}))
    return segments(hours, begun_at, prices)


def _ends(db: Db, log: Log, found: list[Segment]) -> list[Ends]:
    def block(number: int) -> list[bytes]:
        begin = number * BLOCK_ENTRIES
        return list(list_entries(db, log, begin, min(begin + BLOCK_ENTRIES, log.size)))

    try:
        return find_ends(found, size=log.size, block=block)
    except RecordMissing as missing:
        raise Fault(f"{log.origin}: {missing}; run ledger verify") from missing


def _lines(db: Db, log: Log, found: list[Segment], names: Mapping[str, str]) -> list[StatementLine]:
    node = get_node(db, log.node_id)
    return [
        _line(db, log, segment, at, node=node, name=names.get(segment.stream.owner_id, ""))
        for segment, at in zip(found, _ends(db, log, found), strict=True)
    ]


def _line(db: Db, log: Log, segment: Segment, at: Ends, *, node: Node, name: str) -> StatementLine:
    stream = segment.stream
    first, last = (
        receipt_for(db, log.node_id, index, epoch=log.epoch) for index in (at.first, at.last)
    )
    return StatementLine(
        owner=stream.owner_id,
        name=name or stream.owner_id,
        project=segment.project_id,
        sku=stream.sku,
        simulated=node.simulated and stream.meter in TIME_METERS,
        meter=stream.meter,
        node=node.name,
        origin=log.origin,
        price=segment.price,
        begin_at_ms=int(read_canonical(read_receipt(first).entry)["t0"]),
        end_at_ms=int(read_canonical(read_receipt(last).entry)["t1"]),
        cum_before=segment.before,
        cum_after=segment.after,
        unbilled_micros=segment.unbilled,
        charged_micros=segment.charged,
        first=first,
        last=last,
    )
