"""A Flask application with everything a request meets before and after its view."""

from urllib.parse import urlsplit

from flask import Flask
from flask.typing import ResponseReturnValue
from werkzeug.middleware.proxy_fix import ProxyFix

from protocol import __version__
from protocol.wire import BODY_BYTES_MAX
from registry.server import forms, headers, node_calls, page, problems, session
from registry.server.assets import Assets
from registry.server.queries import answers
from registry.store.database import rerun
from web import STATIC, TEMPLATES
from web.environment import equip

FORM_BYTES_MAX = 512 * 1024
FORM_FIELDS_MAX = 200
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class Application(Flask):
    """Flask that runs a view again when its unit of work met another one."""

    def dispatch_request(self) -> ResponseReturnValue:
        """Return the view's answer."""
        return rerun(super().dispatch_request)


def new_application(
    frame: session.Frame,
    sources: page.ShellSources,
    *,
    trusted_hosts: tuple[str, ...],
    proxies: int,
) -> Application:
    """Return an application without views.

    trusted_hosts  names besides the one of `frame.origin` under which it answers
    proxies        how many proxies stand before it and may say who the client was
    """
    application = Application(
        "registry", static_folder=None, template_folder=str(TEMPLATES), root_path=str(TEMPLATES)
    )
    application.config.update(
        MAX_CONTENT_LENGTH=BODY_BYTES_MAX,
        MAX_FORM_MEMORY_SIZE=FORM_BYTES_MAX,
        MAX_FORM_PARTS=FORM_FIELDS_MAX,
        TRUSTED_HOSTS=_hosts(frame.origin, trusted_hosts),
        PROPAGATE_EXCEPTIONS=False,
    )
    # One address per page: a doubled slash is an unknown address, not a redirect.
    application.url_map.merge_slashes = False
    application.extensions[session.EXTENSION] = frame
    application.extensions[page.EXTENSION] = sources
    assets = Assets(STATIC)
    application.add_url_rule("/static/<path:name>", "static", assets.serve)
    application.add_url_rule("/healthz", "healthz", show_life)
    equip(
        application.jinja_env,
        asset=assets.url,
        csrf_token=forms.csrf_token,
        request_id=session.request_id,
        version=__version__,
    )
    application.before_request(headers.check_host)
    application.before_request(forms.check_form)
    application.after_request(forms.keep_form_cookie)
    application.after_request(session.expire_bad_session)
    application.after_request(page.tell_balance)
    application.after_request(headers.protect)
    application.after_request(node_calls.sign_node_answer)
    problems.install(application, page.shell)
    if proxies:
        fixed = ProxyFix(application.wsgi_app, x_for=proxies, x_proto=proxies)
        application.wsgi_app = fixed  # type: ignore[method-assign]  # as Flask's manual has it
    return application


def show_life() -> ResponseReturnValue:
    """Say that the registry and its database answer; 503 while the database is away."""
    with session.db().reading() as db:
        answers(db)
    return {"status": "ok"}


def _hosts(origin: str, more: tuple[str, ...]) -> list[str]:
    own = urlsplit(origin).hostname or ""
    loopback = LOOPBACK if own in ("localhost", "127.0.0.1", "::1") else ()
    return sorted({own, *loopback, *more})
