"""Pages of receipts: one record of a node's log, proven before the reader's eyes."""

import re

from flask import Blueprint, Response, redirect, render_template
from flask.typing import ResponseReturnValue

from protocol.canonical import Record
from protocol.checkpoint import log_origin
from protocol.signing import public_bytes
from registry.catalogue.queries import find_sku, list_prices
from registry.ledger.queries import list_lines
from registry.nodes.queries import get_node
from registry.server.page import shell
from registry.server.session import actor, db, signed_in
from registry.server.settings import settings
from registry.tenants.roles import not_found, require
from registry.usage.log_state import Log
from registry.usage.operations import receipt_for
from registry.usage.queries import find_log_by_origin, list_entries
from registry.usage.receipt_panel import (
    Trust,
    Verdict,
    entry_facts,
    owner_href,
    owner_kind,
    price_words,
    rated,
    record_row,
    use_records,
    verdict,
)
from web.view_models.billing import ReceiptPage, RecordsPage

SRC_PATTERN = re.compile(r"log:(?P<origin>.+):(?P<begin>[0-9]+)-(?P<end>[0-9]+):(?P<tenant>[^:]+)")

ROWS_MAX = 500
"""Records listed behind one charge; their sum is over all."""

pages = Blueprint("usage", __name__)


@pages.get("/billing/receipts/<path:origin>/<int:index>")
@signed_in
def show_receipt(origin: str, index: int) -> ResponseReturnValue:
    """Return one record of a usage log with each step of its proof."""
    with db().reading():
        log, _, found = _proven(origin, index)
        node = get_node(db(), log.node_id)
        sku_id = str(found.record.get("sku", ""))
        prices = list_prices(db(), [sku_id])
        sku = find_sku(db(), sku_id)
    price, micros = rated(found.record, prices)
    owner = str(found.record["alc"])
    page = ReceiptPage(
        origin=origin,
        index=index,
        size=found.size,
        node=node.name,
        owner=owner,
        owner_kind=owner_kind(owner),
        owner_href=owner_href(owner),
        from_at_ms=int(found.record["t0"]),
        to_at_ms=int(found.record["t1"]),
        quantity=int(found.record["q"]),
        unit=str(found.record["m"]),
        price=price_words(price),
        micros=micros,
        verified=found.verified,
        checks=found.checks,
        entry=entry_facts(found.record),
        raw_url=f"/billing/receipts/{origin}/{index}.tlog-proof",
        simulated=sku is not None and sku.simulated,
    )
    return render_template("registry/billing/receipt.html", page=page, shell=shell())


@pages.get("/billing/receipts/<path:origin>/<int:index>.tlog-proof")
@signed_in
def download_receipt(origin: str, index: int) -> ResponseReturnValue:
    """Return the receipt as it is checked by other tools (C2SP tlog-proof)."""
    with db().reading():
        log, text, _ = _proven(origin, index)
    answer = Response(text, content_type="text/plain; charset=utf-8")
    name = f"{log.node_id}-{log.epoch}-{index}.tlog-proof"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@pages.get("/billing/ledger/<int(max=9007199254740991):journal_id>/receipt")
@signed_in
def find_receipt(journal_id: int) -> ResponseReturnValue:
    """Return the records that this entry of the ledger charges; a single one's receipt at once."""
    require(actor(), "receipt.view")
    tenant_id = actor().tenant_id
    assert tenant_id is not None
    with db().reading():
        lines = list_lines(db(), tenant_id, before_id=journal_id + 1, limit=1)
        src = lines[0].src if lines and lines[0].journal_id == journal_id else ""
        place = SRC_PATTERN.fullmatch(src)
        log = find_log_by_origin(db(), place["origin"]) if place else None
        if place is None or log is None:
            raise not_found("This receipt")
        begin, end = int(place["begin"]), int(place["end"])
        entries = list_entries(db(), log, begin, end)
        records = use_records(entries, begin=begin, is_wanted=_is_own)
        prices = list_prices(db(), sorted({str(record["sku"]) for _, record in records}))
        node = get_node(db(), log.node_id)
    if not records:
        raise not_found("This receipt")
    if len(records) == 1:
        return redirect(f"/billing/receipts/{log.origin}/{records[0][0]}", code=303)
    rows = [record_row(at, record, prices, origin=log.origin) for at, record in records]
    page = RecordsPage(
        at_ms=lines[0].at_ms,
        node=node.name,
        rows=tuple(rows[:ROWS_MAX]),
        count=len(rows),
        micros=sum(row.micros for row in rows),
        charged_micros=-lines[0].micros,
    )
    return render_template("registry/billing/records.html", page=page, shell=shell())


def _proven(origin: str, index: int) -> tuple[Log, str, Verdict]:
    """Return a receipt of the reader's own usage; any other record is absent."""
    require(actor(), "receipt.view")
    log = find_log_by_origin(db(), origin)
    if log is None or not 0 <= index < log.size:
        raise not_found("This receipt")
    text = receipt_for(db(), log.node_id, index, epoch=log.epoch)
    found = verdict(text, _trust(log))
    if not _is_own(found.record) or found.record.get("k") != "use":
        raise not_found("This receipt")
    return log, text, found


def _is_own(record: Record) -> bool:
    return actor().is_platform_admin or record.get("ten") == actor().tenant_id


def _trust(log: Log) -> Trust:
    own = public_bytes(settings().key)
    others = (bytes.fromhex(one.public_key) for one in settings().trust_keys)
    return Trust(
        origin=log_origin(settings().domain, log.node_id, log.epoch),
        node_key=log.public_key,
        domain=settings().domain,
        witness_keys=(own, *(key for key in others if key != own)),
    )
