"""What must hold, whatever happened: found out apart from the code that should see to it.

Money is counted anew from what the nodes' disks hold and what people paid; nothing here asks the
registry for a sum that it computed to judge that very sum.
"""

import json
import sqlite3
from dataclasses import dataclass, field

PER_PPM = 1_000_000


class Violated(Exception):
    """Something that must hold does not.  name: of the rule; what: the figures"""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}")
        self.name = name
        self.what = what


def must(holds: bool, name: str, what: object) -> None:
    """Raise `Violated` unless it holds."""
    if not holds:
        raise Violated(name, str(what))


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A lease as the registry's table has it."""

    lease_id: int
    tenant_id: str
    node_id: str
    amount: int
    settled: int
    state: str
    expires_at_ms: int


@dataclass(slots=True)
class Version:
    """A price of the book: num micros for den units from a moment on."""

    num: int
    den: int
    from_ms: int


@dataclass(slots=True)
class Purse:
    """A tenant's money as its table rows have it."""

    total: int = 0
    held: int = 0
    credit: int = 0


@dataclass(slots=True)
class Ledger:
    """What the tables say at one moment, read in a few queries from aside."""

    purses: dict[str, Purse] = field(default_factory=dict)
    leases: dict[int, LeaseRow] = field(default_factory=dict)
    sum_: int = 0
    income: int = 0
    overrun: int = 0
    late: int = 0
    journal_id: int = 0
    charged: dict[str, int] = field(default_factory=dict)


class Rater:
    """What records come to, by its own reading of the rules: whole streams, floor by floor."""

    def __init__(self) -> None:
        self.rated = 0
        self.quantity: dict[tuple[str, str], int] = {}
        self._versions: dict[tuple[str, str], list[Version]] = {}

    def priced(self, sku: str, meter: str, num: int, den: int, from_ms: int) -> None:
        """Take a price version into the book."""
        self._versions.setdefault((sku, meter), []).append(Version(num, den, from_ms))

    def record(self, entry: dict[str, object]) -> None:
        """Count one record in, whoever pays for it."""
        sku, meter, begin_ms = str(entry["sku"]), str(entry["m"]), _int(entry["t0"])
        versions = [one for one in self._versions[sku, meter] if one.from_ms <= begin_ms]
        price = max(enumerate(versions), key=lambda one: (one[1].from_ms, one[0]))[1]
        after, quantity = _int(entry["cum"]), _int(entry["q"])
        before = after - quantity
        self.rated += after * price.num // price.den - before * price.num // price.den
        owner = str(entry["alc"]), meter
        self.quantity[owner] = self.quantity.get(owner, 0) + quantity


def read_ledger(aside: sqlite3.Connection, before: Ledger) -> Ledger:
    """Return the tables as they are; what cannot change any more is taken over."""
    now = Ledger(journal_id=before.journal_id, leases=dict(before.leases))
    for row in aside.execute("SELECT name, tenant_id, balance, held, credit_limit FROM account"):
        now.sum_ += row["balance"]
        if row["name"].startswith("I:"):
            now.income -= row["balance"]
        elif row["name"] == "X:overrun":
            now.overrun += row["balance"]
        elif row["name"] == "X:late":
            now.late += row["balance"]
        if row["tenant_id"] is not None:
            purse = now.purses.setdefault(row["tenant_id"], Purse())
            purse.total -= row["balance"]
            purse.held += row["held"]
            purse.credit += row["credit_limit"]
    last = max(before.leases, default=0)
    ended = [lease.lease_id for lease in before.leases.values() if lease.state == "open"]
    marks = ",".join(map(str, [*ended, -1]))
    for row in aside.execute(f"SELECT * FROM lease WHERE id > {last} OR id IN ({marks})"):
        now.leases[row["id"]] = LeaseRow(
            row["id"],
            row["tenant_id"],
            row["node_id"],
            row["amount"],
            row["settled"],
            row["state"],
            row["expires_at_ms"],
        )
    return now


def check_journals(aside: sqlite3.Connection, after_id: int) -> int:
    """Check that every new journal balances; return the id of the last one."""
    wrong = aside.execute(
        "SELECT journal_id FROM posting WHERE journal_id > ? GROUP BY journal_id "
        "HAVING SUM(micros) <> 0",
        (after_id,),
    ).fetchall()
    must(not wrong, "postings_balance", [row[0] for row in wrong])
    (last,) = aside.execute("SELECT COALESCE(MAX(id), 0) FROM journal").fetchone()
    return int(last)


def check_step(before: Ledger, now: Ledger, *, rated: int, paid: dict[str, int]) -> None:
    """Check the money after one step of the registry.

    rated  what every accepted record comes to
    paid   what each tenant paid in, less what was taken back from it
    """
    must(now.sum_ == 0, "sum_of_postings", now.sum_)
    now.charged = charged = {
        tenant_id: paid.get(tenant_id, 0) - one.total for tenant_id, one in now.purses.items()
    }
    must(
        rated == sum(charged.values()) + now.overrun + now.late == now.income,
        "recorded_is_charged_overrun_and_late",
        f"recorded {rated}, income {now.income}, charged {sum(charged.values())}, "
        f"overrun {now.overrun}, late {now.late}",
    )
    open_: dict[str, int] = {}
    for lease in now.leases.values():
        must(
            0 <= lease.settled <= lease.amount,
            "charged_within_the_lease",
            f"lease {lease.lease_id}: {lease.settled} of {lease.amount}",
        )
        if lease.state == "open":
            open_[lease.tenant_id] = open_.get(lease.tenant_id, 0) + lease.amount - lease.settled
    for tenant_id, purse in now.purses.items():
        held = open_.get(tenant_id, 0)
        must(purse.held == held, "held_is_what_is_open", f"{tenant_id}: {purse.held}, open {held}")
        granted = {
            lease_id
            for lease_id, lease in now.leases.items()
            if lease_id not in before.leases and lease.tenant_id == tenant_id
        }
        must(
            not granted or purse.held <= purse.total + purse.credit,
            "granted_within_the_balance",
            f"{tenant_id}: held {purse.held}, has {purse.total} and credit {purse.credit}",
        )
        spent = charged[tenant_id] > before.charged.get(tenant_id, 0)
        must(
            not spent or purse.total + purse.credit >= 0,
            "charged_within_what_was_paid",
            f"{tenant_id}: {purse.total} and credit {purse.credit}",
        )


def check_times(
    allocation_id: str, *, counted_ms: int, ran_ms: int, unsure_ms: int, lost_ms: int | None
) -> None:
    """Check what was counted of an allocation's GPUs against how long they worked in truth.

    unsure_ms  how well the end of a container is known, all of them together
    lost_ms    how much may have gone uncounted; None where the program was not always there
    """
    more_ms = ran_ms * 2_000 // PER_PPM + unsure_ms
    must(
        counted_ms <= ran_ms + more_ms,
        "nothing_counted_that_did_not_run",
        f"{allocation_id}: counted {counted_ms} ms, ran {ran_ms} ms",
    )
    if lost_ms is not None:
        must(
            counted_ms >= ran_ms - more_ms - lost_ms,
            "nothing_ran_uncounted",
            f"{allocation_id}: counted {counted_ms} ms, ran {ran_ms} ms, may lose {lost_ms} ms",
        )


def parsed(raw: bytes) -> dict[str, object]:
    """Return an entry's fields, read by no code of ours."""
    fields = json.loads(raw)
    assert isinstance(fields, dict)
    return fields


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
