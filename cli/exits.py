"""How an answer no becomes an exit code that a script can act on."""

import click

from cli.answers import Problem
from protocol.exits import exit_code


class Stopped(click.ClickException):
    """The command ends here; `problem` says why and what to type next."""

    def __init__(self, problem: Problem, *, status: int = 0, request_id: str = "") -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.request_id = request_id
        self.code = exit_code(problem.code, status)


def stopped(code: str, message: str, hint: str, *, retryable: bool = False) -> Stopped:
    """Return the end of a command for a reason of our own.  retryable: later it may succeed"""
    return Stopped(Problem(code=code, message=message, hint=hint, retryable=retryable))
