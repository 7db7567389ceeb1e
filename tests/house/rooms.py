"""The plan of the house as data: sides, rooms in their order, doors, and where packages live.

A new room goes into ROOMS at the place that says which rooms it may use: the earlier ones.
A new third-party package goes into HOMES with the one place that may import it.
"""

from dataclasses import dataclass
from enum import StrEnum


def words(text: str) -> frozenset[str]:
    """The words of a list that is easier to read as text."""
    return frozenset(text.split())


# simulation runs both sides in one process; it stands above them, and neither knows of it.
SIDES = ("protocol", "web", "agent", "registry", "cli", "simulation")
MAY_IMPORT_SIDES: dict[str, frozenset[str]] = {
    "protocol": frozenset({"protocol"}),
    "web": frozenset({"protocol", "web"}),
    "agent": frozenset({"protocol", "web", "agent"}),
    "registry": frozenset({"protocol", "web", "registry"}),
    "cli": frozenset({"protocol", "cli"}),
    "simulation": frozenset({"protocol", "agent", "registry", "simulation"}),
}

ROOMS: dict[str, tuple[str, ...]] = {
    "agent": (
        "store",
        "server",
        "usage_log",
        "accelerators",
        "leases",
        "metering",  # spends leases, so that it stands after them
        "allocations",
        "storage",
        "terminal",
        "gateway",
        "health",
        "metrics",
        "sync",
        "peers",
        "dashboard",
        "demo_echo",
        "drivers",
    ),
    "registry": (
        "store",
        "server",
        "audit",
        "accounts",
        "tenants",
        "access",
        "feed",  # what happened to an organization: later rooms add to it
        "sites",
        "nodes",
        "catalogue",
        "apps",
        "ledger",
        "adjustments",  # what operators and time do to the books
        "payments",
        "settlement",
        "refunds",
        "auto_top_up",
        "payment_events",
        "rating",
        "log_events",  # what usage logs say besides usage
        "usage",
        "payouts",
        "leases",
        "reconciliation",  # recalls the leases of whoever disputes a payment
        "allocations",
        "market",
        "storage",
        "gateway",
        "incidents",
        "balances",
        "notices",
        "sync",
        "verification",  # asks sync whose usage a record is
        "statements",
        "overview",
        "programme",
        "developers",
        "drivers",
    ),
}


class Kind(StrEnum):
    """What a file is, told by its name or its room."""

    PURE = "pure"
    QUERIES = "queries"
    OPERATIONS = "operations"
    CLIENT = "client"
    RELAY = "relay"
    LOOP = "loop"
    ROUTES = "routes"
    API = "api"
    VIEWS = "views"
    STORE = "store"
    SERVER = "server"
    DRIVERS = "drivers"
    COMPOSITION = "composition"


DOOR_FILES = frozenset(
    {Kind.QUERIES, Kind.OPERATIONS, Kind.CLIENT, Kind.RELAY, Kind.LOOP}
    | {Kind.ROUTES, Kind.API, Kind.VIEWS}
)
DOOR_ROOMS = frozenset({Kind.STORE, Kind.SERVER, Kind.DRIVERS})

# Files that stand beside the rooms and put them together.
COMPOSITION: dict[str, frozenset[str]] = {
    # commands: what cli.py offers, in a file of its own so that neither grows too long.
    # doctor, enrolling: two commands that ask all of the machine, each in a file of its own.
    # machine: what node.py and the commands both ask of the machine.
    # observer: what many rooms see, put together for sync, health and metrics.
    "agent": frozenset(
        {"__init__", "__main__", "cli", "commands", "config", "doctor", "enrolling", "machine"}
        | {"background", "node", "observer"}
    ),
    # __main__: the command, and what to install where its extra is missing.
    # governing: the commands that say on which terms an organization may spend.
    # money_commands: what came in, grants, credit, tax, and setting the books right;
    # payout_commands: what sites are paid; payment_commands: what was paid by card;
    # log_commands: what nodes may correct in their usage logs, and what they forked.
    "registry": frozenset(
        {"__init__", "cli", "commands", "governing", "money_commands", "config", "app", "jobs"}
        | {"payment_commands", "payout_commands", "log_commands", "wsgi", "__main__"}
    ),
}
DRIVER_USERS = frozenset(
    {"agent/node.py", "agent/cli.py", "agent/commands.py", "agent/doctor.py", "agent/enrolling.py"}
    | {"agent/machine.py"}
) | frozenset({"registry/app.py", "registry/jobs.py", "registry/cli.py", "registry/commands.py"})

_WORK = frozenset({Kind.PURE, Kind.QUERIES, Kind.OPERATIONS, Kind.STORE})
_ABOVE = _WORK | {Kind.CLIENT, Kind.RELAY}
_FRONT = _ABOVE | {Kind.LOOP, Kind.SERVER}

MAY_IMPORT_KINDS: dict[Kind, frozenset[Kind]] = {
    Kind.PURE: frozenset({Kind.PURE}),
    Kind.QUERIES: frozenset({Kind.PURE, Kind.STORE}),
    Kind.OPERATIONS: _WORK,
    Kind.CLIENT: frozenset({Kind.PURE}),
    Kind.RELAY: frozenset({Kind.PURE}),
    Kind.LOOP: _ABOVE,
    Kind.ROUTES: _FRONT,
    Kind.API: _FRONT,
    Kind.VIEWS: _FRONT,
    Kind.STORE: frozenset({Kind.PURE, Kind.STORE}),
    Kind.SERVER: frozenset({Kind.PURE, Kind.STORE, Kind.SERVER}),
    Kind.DRIVERS: frozenset({Kind.PURE, Kind.DRIVERS}),
    Kind.COMPOSITION: frozenset(Kind),
}
MAY_IMPORT_WEB = frozenset(
    {Kind.PURE, Kind.ROUTES, Kind.API, Kind.VIEWS, Kind.SERVER, Kind.COMPOSITION}
)
# Files of web that hold an engine instead of values; pure files elsewhere do without them.
WEB_ENGINES = frozenset({"web/environment.py"})

# Standard library modules that read or change the world; a pure file imports none of them.
WORLDLY = words(
    """asyncio concurrent contextvars ctypes fcntl getpass glob http.client http.cookiejar
    http.server importlib locale logging mmap multiprocessing os pickle platform pty pwd queue
    random resource sched secrets select selectors shelve shutil signal smtplib socket
    socketserver sqlite3 ssl subprocess sys tempfile termios threading time urllib.request
    webbrowser"""
)
WORLDLY_CALLS = frozenset({"open", "print", "input", "eval", "exec", "compile", "breakpoint"})
WORLDLY_METHODS = words(
    """open read_text read_bytes write_text write_bytes mkdir unlink rmdir iterdir glob rglob
    exists is_file is_dir uuid1 uuid4 generate utcnow"""
)
# Where dates are shown, and where a library of signed requests takes nothing else.
DATETIME_HOMES = frozenset({"web/format.py", "protocol/http_signature.py"})
# Where a request or a background work ends; a thread that hands errors on to its caller; and the
# simulation, for which whatever breaks is a finding.
CATCH_ALL_HOMES = words(
    """agent/server/problems.py registry/server/problems.py agent/background.py registry/jobs.py
    agent/drivers/driver_thread.py simulation/world.py"""
)


@dataclass(frozen=True, slots=True)
class Home:
    """Where a third-party package may be imported, and which distribution brings it.

    places   path prefixes, or `*/name.py` for a door of that name on the given side
    single   True when one file in those places holds it, so that changing it changes that file
    """

    distribution: str
    places: tuple[str, ...]
    single: bool = False


HOMES: dict[str, Home] = {
    "aiohttp": Home("aiohttp", ("agent/*/routes.py", "agent/*/relay.py", "agent/server/")),
    "alembic": Home("alembic", ("registry/store/",)),
    "asyncssh": Home("asyncssh", ("agent/drivers/",), single=True),
    "authlib": Home("Authlib", ("registry/*/client.py",)),
    "click": Home(
        "click",
        (
            "agent/cli.py",
            "registry/cli.py",
            "registry/commands.py",
            "registry/governing.py",
            "registry/money_commands.py",
            "registry/payment_commands.py",
            "registry/payout_commands.py",
            "registry/log_commands.py",
            "cli/",
        ),
    ),
    "cryptography": Home(
        "cryptography",
        (
            "protocol/",
            "agent/drivers/keyfile.py",
            "registry/drivers/keyfile.py",
        ),
    ),
    "docker": Home("docker", ("agent/drivers/",), single=True),
    "flask": Home(
        "Flask",
        ("registry/*/views.py", "registry/*/api.py", "registry/server/", "registry/app.py"),
    ),
    "gunicorn": Home("gunicorn", ("registry/drivers/",), single=True),
    "http_message_signatures": Home("http-message-signatures", ("protocol/http_signature.py",)),
    "httpx": Home("httpx", ("agent/*/client.py", "registry/*/client.py", "cli/")),
    "jinja2": Home("Jinja2", ("web/", "agent/server/", "agent/dashboard/routes.py")),
    "markupsafe": Home("Jinja2", ("web/",)),
    "msgspec": Home("msgspec", ("protocol/", "web/", "agent/", "registry/", "cli/", "simulation/")),
    "psutil": Home("psutil", ("agent/drivers/",), single=True),
    "psycopg": Home("psycopg", ("registry/store/",)),
    "pynvml": Home("nvidia-ml-py", ("agent/drivers/",), single=True),
    "requests": Home("docker", ("agent/drivers/",), single=True),  # its errors come through docker
    "rich": Home(
        "rich",
        (
            "agent/cli.py",
            "registry/cli.py",
            "registry/commands.py",
            "registry/money_commands.py",
            "registry/payment_commands.py",
            "registry/payout_commands.py",
            "registry/log_commands.py",
            "cli/",
        ),
    ),
    "sqlalchemy": Home("SQLAlchemy", ("registry/store/", "registry/*/queries.py")),
    "sqlite_utils": Home("sqlite-utils", ("agent/store/",)),
    "stripe": Home("stripe", ("registry/drivers/",), single=True),
    "uvloop": Home("uvloop", ("agent/cli.py", "agent/node.py")),
    "werkzeug": Home(
        "Flask",
        ("registry/*/views.py", "registry/*/api.py", "registry/server/", "registry/app.py"),
    ),
    "zeroconf": Home("zeroconf", ("agent/drivers/",), single=True),
}
EXTRA_OF_SIDE: dict[str, tuple[str, ...]] = {
    "protocol": (),
    "web": (),
    "cli": (),
    "agent": ("agent",),
    "registry": ("registry",),
    "simulation": ("agent", "registry"),
}
