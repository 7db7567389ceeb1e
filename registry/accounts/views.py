"""Pages of signing in and out.  A GET never signs anybody in."""

from dataclasses import dataclass
from urllib.parse import urlencode

from flask import (
    Blueprint,
    Response,
    current_app,
    make_response,
    redirect,
    render_template,
    request,
)
from flask.typing import ResponseReturnValue

from protocol.refusal import Fault, Refusal
from registry.accounts import operations
from registry.accounts.letters import Letter, Mail
from registry.accounts.operations import Caller, SignedIn
from registry.accounts.sign_in import (
    LINK_LIFE_MS,
    RESEND_MS,
    SECRET_CHARACTERS,
    SESSION_LIFE_MS,
    code_refused,
    link_refused,
    masked_email,
    read_email,
)
from registry.server.forms import FORM_COOKIE, refilled, safe_next
from registry.server.session import (
    SESSION_COOKIE,
    db,
    entropy,
    find_actor,
    new_id,
    now_ms,
    request_id,
    session_token,
    source_address,
)
from registry.server.settings import settings
from web.view_models.accounts import CheckEmailPage, ConfirmPage, SignInPage
from web.view_models.parts import Form

EXTENSION = "outstation-sign-in"
ATTEMPT_COOKIE = "__Host-outstation-attempt"
EVERY_COOKIE = (SESSION_COOKIE, FORM_COOKIE, ATTEMPT_COOKIE)

pages = Blueprint("accounts", __name__)


@dataclass(frozen=True, slots=True)
class SignIn:
    """What signing in needs besides the database.  admins: platform admins by configuration"""

    mail: Mail
    admins: frozenset[str]


@pages.get("/login")
def show_sign_in() -> ResponseReturnValue:
    """Return the page to sign in on; whoever is signed in goes on."""
    target = safe_next(request.args.get("next", "/"))
    if find_actor() is not None:
        return redirect(target, code=303)
    cleared = request.args.get("cleared") == "1"
    page = SignInPage(next_url=target, cleared=cleared)
    return render_template("registry/accounts/sign_in.html", page=page)


def _sign_in_refilled(*, form: Form) -> str:
    page = SignInPage(form=form, next_url=safe_next(form.value("next") or "/"))
    return render_template("registry/accounts/sign_in.html", page=page)


@pages.post("/login")
@refilled(_sign_in_refilled)
def ask_for_letter() -> ResponseReturnValue:
    """Send a letter; the answer is the same for every address."""
    email = read_email(request.form.get("email", ""))
    target = safe_next(request.form.get("next", "/"))
    with db().unit():
        letter, attempt = operations.ask_for_letter(
            db(), email, base_url=settings().base_url, next_url=target, caller=_caller()
        )
    _send(letter)
    answer = make_response(redirect(_with_next("/login/check-email", target), code=303))
    _set_cookie(answer, ATTEMPT_COOKIE, attempt, LINK_LIFE_MS)
    return answer


@pages.get("/login/check-email")
def show_check_email() -> ResponseReturnValue:
    """Return the page that waits for the code of the letter this browser asked for."""
    attempt = request.cookies.get(ATTEMPT_COOKIE, "")[:SECRET_CHARACTERS]
    page = _check_email_page(attempt, safe_next(request.args.get("next", "/")), Form())
    if page is None:
        return redirect("/login", code=303)
    return render_template("registry/accounts/check_email.html", page=page)


def _code_refilled(*, form: Form) -> str:
    attempt = form.value("attempt")[:SECRET_CHARACTERS]
    page = _check_email_page(attempt, safe_next(form.value("next") or "/"), form)
    if page is None:
        return _sign_in_problem(code_refused())
    return render_template("registry/accounts/check_email.html", page=page)


@pages.post("/login/code")
@refilled(_code_refilled)
def sign_in_by_code() -> ResponseReturnValue:
    """Sign in with the code of a letter, in the browser that asked for it."""
    attempt = request.form.get("attempt", "")[:SECRET_CHARACTERS]
    code = "".join(request.form.get("code", "").split())[:16]
    with db().unit():
        is_right = operations.is_code_right(db(), attempt, code, caller=_caller())
    if not is_right:
        raise code_refused()
    with db().unit():
        signed_in = operations.sign_in_by_code(
            db(), attempt, old_token=session_token(), caller=_caller()
        )
    return _go_on(signed_in)


@pages.get("/login/confirm")
def show_confirm() -> ResponseReturnValue:
    """Return the button that signs in; mail scanners that follow the link sign nobody in."""
    token = request.args.get("token", "")[:SECRET_CHARACTERS]
    with db().reading():
        link = operations.find_open_link(db(), token=token, now_ms=now_ms()) if token else None
    if link is None:
        return _sign_in_problem(link_refused()), link_refused().status
    page = ConfirmPage(
        masked_email=masked_email(link.email),
        token=token,
        expires_at_ms=link.expires_at_ms,
        next_url=safe_next(request.args.get("next", "/")),
    )
    return render_template("registry/accounts/confirm.html", page=page)


@pages.post("/login/confirm")
def sign_in_by_link() -> ResponseReturnValue:
    """Sign in with the link of a letter, in any browser."""
    token = request.form.get("token", "")[:SECRET_CHARACTERS]
    with db().unit():
        signed_in = operations.sign_in_by_link(
            db(), token, old_token=session_token(), caller=_caller()
        )
    return _go_on(signed_in)


@pages.post("/logout")
def sign_out() -> ResponseReturnValue:
    """End the session, here and in the database."""
    with db().unit():
        operations.sign_out(db(), session_token(), caller=_caller())
    answer = make_response(redirect("/login", code=303))
    _expire(answer, (SESSION_COOKIE,))
    return answer


@pages.post("/login/clear")
def clear_session() -> ResponseReturnValue:
    """Forget everything this browser keeps of us, so that a broken session can be begun anew."""
    with db().unit():
        operations.sign_out(db(), session_token(), caller=_caller())
    answer = make_response(redirect("/login?cleared=1", code=303))
    _expire(answer, EVERY_COOKIE)
    answer.headers["Clear-Site-Data"] = '"cookies", "storage"'
    return answer


def _check_email_page(attempt: str, target: str, form: Form) -> CheckEmailPage | None:
    with db().reading():
        link = operations.find_open_link(db(), attempt=attempt, now_ms=now_ms())
    if link is None:
        return None
    return CheckEmailPage(
        masked_email=masked_email(link.email),
        email=link.email,
        attempt=attempt,
        now_ms=now_ms(),
        resend_at_ms=link.created_at_ms + RESEND_MS,
        expires_at_ms=link.expires_at_ms,
        next_url=target,
        form=form,
        outbox=settings().outbox,
    )


def _sign_in_problem(refusal: Refusal) -> str:
    page = SignInPage(problem=refusal.message, problem_hint=refusal.hint)
    return render_template("registry/accounts/sign_in.html", page=page)


def _go_on(signed_in: SignedIn) -> ResponseReturnValue:
    answer = make_response(redirect(safe_next(request.form.get("next", "/")), code=303))
    _set_cookie(answer, SESSION_COOKIE, signed_in.token, SESSION_LIFE_MS)
    _expire(answer, (ATTEMPT_COOKIE, FORM_COOKIE))
    return answer


def _caller() -> Caller:
    return Caller(
        now_ms=now_ms(),
        source=source_address(),
        request_id=request_id(),
        new_id=new_id,
        entropy=entropy,
        admins=_extension().admins,
    )


def _extension() -> SignIn:
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, SignIn)
    return found


def _send(letter: Letter) -> None:
    try:
        _extension().mail.send(letter)
    except Fault as fault:
        raise Refusal(
            code="mail_unavailable",
            status=503,
            message="The letter could not be sent.",
            hint="Try again in a minute; the operator sees why in the log.",
            retry_after_s=60,
        ) from fault


def _with_next(path: str, target: str) -> str:
    return path if target == "/" else f"{path}?{urlencode({'next': target})}"


def _set_cookie(answer: Response, name: str, value: str, life_ms: int) -> None:
    answer.set_cookie(
        name, value, max_age=life_ms // 1000, secure=True, httponly=True, samesite="Lax", path="/"
    )


def _expire(answer: Response, names: tuple[str, ...]) -> None:
    for name in names:
        answer.delete_cookie(name, path="/", secure=True, httponly=True, samesite="Lax")
