"""Pages of signing in."""

from dataclasses import dataclass, field

from web.view_models.parts import Form


@dataclass(frozen=True, slots=True)
class SignInPage:
    """GET /login; a refused POST answers 422 with the same page.

    fields   email, next
    cleared  a stale session was just cleared
    problem  why the last try ended, in words ("This link was used already."), or nothing
    """

    form: Form = field(default_factory=Form)
    next_url: str = "/"
    cleared: bool = False
    problem: str = ""
    problem_hint: str = ""


@dataclass(frozen=True, slots=True)
class CheckEmailPage:
    """GET /login/check-email; a wrong code answers 422 with the same page.

    masked_email   a…a@umoja.example
    email          posted again by Resend (POST /login); may be empty, which hides Resend
    attempt        names the sign-in attempt the code belongs to
    fields         code, attempt, next
    resend_at_ms   before this moment Resend is refused
    outbox         where the demo puts its letters; empty when mail is really sent
    """

    masked_email: str
    email: str
    attempt: str
    now_ms: int
    resend_at_ms: int
    expires_at_ms: int
    next_url: str = "/"
    form: Form = field(default_factory=Form)
    outbox: str = ""


@dataclass(frozen=True, slots=True)
class ConfirmPage:
    """GET /login/confirm shows a button; POST /login/confirm (token, next) signs in."""

    masked_email: str
    token: str
    expires_at_ms: int
    next_url: str = "/"
