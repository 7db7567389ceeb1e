"""How an answer no becomes an exit code that a script can act on."""

import click

from cli.answers import Problem

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
    401: NOT_SIGNED_IN,
    402: INSUFFICIENT_BALANCE,
    403: POLICY,
    404: NOT_FOUND,
    409: CONFLICT,
    422: USAGE,
    400: USAGE,
    503: UNREACHABLE,
}


class Stopped(click.ClickException):
    """The command ends here; `problem` says why and what to type next."""

    def __init__(self, problem: Problem, *, status: int = 0, request_id: str = "") -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.request_id = request_id
        self.code = BY_CODE.get(problem.code, BY_STATUS.get(status, OTHER))


def stopped(code: str, message: str, hint: str) -> Stopped:
    """Return the end of a command for a reason of our own."""
    return Stopped(Problem(code=code, message=message, hint=hint))
