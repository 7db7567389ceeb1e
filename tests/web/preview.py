"""All sample pages on a loopback server under the strict policy, for tests and for the eye.

`python -m tests.web.preview 8100` serves them until Ctrl-C.
"""

import hashlib
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jinja2

from tests.web.scenes import Scene, scenes
from web import STATIC, TEMPLATES
from web.environment import equip, static_url

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
AXE = STATIC.parent / "node_modules" / "axe-core" / "axe.min.js"
KINDS = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


def environment() -> jinja2.Environment:
    """Return an environment as both programs make theirs."""
    made = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True)
    equip(
        made,
        asset=lambda path: static_url(
            path, hashlib.sha256((STATIC / path).read_bytes()).hexdigest()
        ),
        csrf_token=lambda: "csrf-token-of-this-session",
        request_id=lambda: "r_018f6a2e",
        version="0.1.0",
    )
    return made


def rendered(made: jinja2.Environment, scene: Scene, *, theme: str = "") -> str:
    """Return the page of a scene."""
    words: dict[str, object] = {"page": scene.page}
    if scene.shell is not None:
        words["shell"] = scene.shell
    html = made.get_template(scene.template).render(words)
    return (
        html.replace('<html lang="en"', f'<html lang="en" data-theme="{theme}"') if theme else html
    )


@dataclass
class Site:
    """What the server answers: pages by name, and what a live part is told to answer next."""

    pages: dict[str, str]
    origin: str = ""
    answers: dict[str, tuple[int, str, dict[str, str]]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def running_site(pages: dict[str, str]) -> Iterator[Site]:
    """Serve the pages on a free loopback port until the block ends."""
    site = Site(pages)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _responder(site))
    server.daemon_threads = True
    site.origin = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _responder(site: Site) -> type[BaseHTTPRequestHandler]:
    class Responder(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if self.headers.get("HX-Request"):
                site.asked.append((self.path, self.headers.get("HX-PTag", "")))
                status, body, extra = site.answers.get(path, (304, "", {}))
                self._answer(status, body.encode(), "text/html; charset=utf-8", extra)
            elif path.startswith("/static/"):
                self._static(STATIC / path.removeprefix("/static/"))
            elif path == "/axe.js":
                self._static(AXE)
            elif (page := site.pages.get(path.removeprefix("/pages/"))) is not None:
                self._answer(200, page.encode(), "text/html; charset=utf-8", {})
            else:
                self._answer(200 if path == "/" else 404, b"<!doctype html>", "text/html", {})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            site.asked.append((self.path, self.rfile.read(length).decode()))
            self._answer(200, b"<!doctype html><title>sent</title>", "text/html", {})

        def _static(self, file: Path) -> None:
            kind = KINDS.get(file.suffix, "text/plain")
            self._answer(200, file.read_bytes(), kind, {"Cache-Control": "max-age=600"})

        def _answer(self, status: int, body: bytes, kind: str, extra: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {
                "Content-Type": kind,
                "Content-Security-Policy": POLICY,
                "Content-Length": str(len(body)),
                **extra,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay silent: the tests read the pages, not a log."""

    return Responder


def all_pages() -> dict[str, str]:
    """Return every scene as the system's theme shows it, by name."""
    made = environment()
    return {name: rendered(made, scene) for name, scene in scenes().items()}


def _contents(pages: dict[str, str]) -> str:
    links = "".join(f'<li><a href="/pages/{name}">{name}</a></li>' for name in sorted(pages))
    return f"<!doctype html><title>Pages</title><ul>{links}</ul>"


def _serve_for_the_eye() -> None:
    pages = all_pages()
    with running_site({**pages, "": _contents(pages)}) as site:
        sys.stdout.write(f"{site.origin}/pages/\n")
        threading.Event().wait()


def inline_code(html: str) -> list[str]:
    """Return what the strict policy would refuse: style and handler attributes, inline scripts."""
    found = re.findall(r"<[^>]+\s(?:style|on[a-z]+)\s*=[^>]*>", html)
    scripts = re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>", html)
    return found + scripts + re.findall(r"<style\b[^>]*>", html)


if __name__ == "__main__":
    _serve_for_the_eye()
