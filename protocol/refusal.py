"""How the answer no is said, and how a breakage is.

    Refusal                     understood, and the answer is no; safe to show to whoever asked
      LogRefused                a usage log was not accepted (protocol/checkpoint, registry/usage)
      SignatureRefused          a signed message was not accepted (protocol/http_signature)
    Fault                       our side or the machine broke; the operator reads it

One place on each side turns them into HTTP: `agent/server/problems` and `registry/server/problems`.
Status: 400 malformed, 401 who are you, 402 balance spent, 403 known and not allowed, 404 absent or
not yours to know, 409 moved on, 413 too large, 422 a field of a form, 429 slow down, 503 elsewhere.
"""


class Refusal(Exception):
    """The answer is no.

    code          stable, snake case; programs decide by it
    status        HTTP status
    message       one sentence for a person: what was refused
    hint          one sentence: what to do next
    field         which field or path of the input is meant, where there is one
    limit_source  balance, key, project or site_lease, where a limit was met
    retry_after_s seconds after which asking again makes sense, where known
    """

    def __init__(
        self,
        *,
        code: str,
        status: int,
        message: str,
        hint: str = "",
        field: str | None = None,
        limit_source: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.status = status
        self.message = message
        self.hint = hint
        self.field = field
        self.limit_source = limit_source
        self.retry_after_s = retry_after_s


class LogRefused(Refusal):
    """A part of a usage log was not accepted; `code` names the rule and nothing was posted."""

    def __init__(self, code: str, message: str, *, index: int | None = None) -> None:
        super().__init__(
            code=code,
            status=409,
            message=message,
            hint="Nothing was posted. An operator must look at this node's usage log.",
        )
        self.index = index


class SignatureRefused(Refusal):
    """A signature is absent, wrong, stale, replayed or made by a key that is not trusted here."""

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(code=code, status=401, message=message, hint=hint)


class Fault(Exception):
    """Our side or the machine broke; never shown to a caller, only to the operator."""
