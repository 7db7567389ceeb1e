"""Exit codes of every command, and the error object they print with `--json`.

0 done, 1 other, 2 usage, 3 not signed in, 4 not found, 5 conflict, 6 insufficient balance,
7 no capacity, 8 timed out waiting, 9 unreachable, 10 refused by policy, 11 verification failed,
130 interrupted.
"""

from collections.abc import Iterable
from itertools import takewhile

from protocol.refusal import Fault, Refusal

DONE = 0
OTHER = 1
USAGE = 2
NOT_SIGNED_IN = 3
NOT_FOUND = 4
CONFLICT = 5
INSUFFICIENT_BALANCE = 6
NO_CAPACITY = 7
TIMED_OUT = 8
UNREACHABLE = 9
POLICY = 10
VERIFICATION = 11
INTERRUPTED = 130

BY_CODE = {
    "insufficient_balance": INSUFFICIENT_BALANCE,
    "no_capacity": NO_CAPACITY,
    "verification_failed": VERIFICATION,
    "forbidden": POLICY,
    "unreachable": UNREACHABLE,
    "timed_out": TIMED_OUT,
    "not_signed_in": NOT_SIGNED_IN,
}
BY_STATUS = {
    400: USAGE,
    401: NOT_SIGNED_IN,
    402: INSUFFICIENT_BALANCE,
    403: POLICY,
    404: NOT_FOUND,
    409: CONFLICT,
    413: USAGE,
    422: USAGE,
    503: UNREACHABLE,
}
RETRYABLE = frozenset({429, 503})


def wants_json(arguments: Iterable[str]) -> bool:
    """Whether a command line asks for JSON; what follows `--` is somebody else's."""
    return "--json" in takewhile(lambda argument: argument != "--", arguments)


def usage_object(message: str, command: str) -> dict[str, str | bool | None]:
    """Return what a program is told of a command line that cannot be read, as `error_object`."""
    return {
        "code": "usage",
        "message": message,
        "hint": f"Type `{command} --help`.",
        "retryable": False,
        "limit_source": None,
    }


def exit_code(code: str, status: int) -> int:
    """Return the exit code for a refusal's code and HTTP status."""
    return BY_CODE.get(code, BY_STATUS.get(status, OTHER))


def exit_code_of(stopped: Refusal | Fault) -> int:
    """Return the exit code of a command that ended so."""
    return exit_code(stopped.code, stopped.status) if isinstance(stopped, Refusal) else OTHER


def error_object(stopped: Refusal | Fault) -> dict[str, str | bool | None]:
    """Return what a program is told: code, message, hint, whether to try again, which limit."""
    if isinstance(stopped, Refusal):
        return {
            "code": stopped.code,
            "message": stopped.message,
            "hint": stopped.hint,
            "retryable": stopped.status in RETRYABLE,
            "limit_source": stopped.limit_source,
        }
    return {
        "code": "fault",
        "message": str(stopped),
        "hint": "",
        "retryable": False,
        "limit_source": None,
    }
