"""The real parts the tests stand on are real, fresh and gone afterwards."""

import os
import smtplib
import subprocess
import sys
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import docker
import psycopg
import pytest
from playwright.sync_api import Page
from sqlalchemy import create_engine, text

from sites.demo.rootfs import IMAGE_TAG, applets, busybox_path, image_archive, is_static, layer
from tests.services.databases import Databases
from tests.services.mail import Mailbox
from tests.services.postgres import Cluster
from tests.services.shared import (
    Service,
    end_abandoned_runs,
    end_run,
    new_run,
    running,
    shared_service,
    stop,
)


def test_a_fresh_database_takes_a_table_on_either_engine(database_url: str) -> None:
    assert _rows(database_url, "CREATE TABLE one (n INTEGER)", "SELECT n FROM one") == []


def test_a_copy_holds_what_was_prepared_and_is_nobody_elses(databases: Databases) -> None:
    first = databases.copy_of("one-row", _prepare_one_row)
    _rows(first, "INSERT INTO one VALUES (2)", "SELECT n FROM one")

    second = databases.copy_of("one-row", _prepare_one_row)

    assert _rows(second, "SELECT n FROM one ORDER BY n") == [(1,)]


@pytest.mark.postgres
def test_the_postgres_server_is_of_a_supported_version(postgres: Cluster) -> None:
    with psycopg.connect(host=postgres.socket_folder, user="postgres") as connection:
        assert connection.info.server_version >= 15_00_00


@pytest.mark.docker
def test_the_image_runs_a_shell_without_any_right(busybox_image: str) -> None:
    engine = docker.from_env()
    try:
        said = engine.containers.run(
            busybox_image,
            ["sh", "-c", "id -u && ls /bin/sh && touch /tmp/note && cat /etc/group | head -n 1"],
            user="100000:100000",
            cap_drop=["ALL"],
            network_disabled=True,
            tmpfs={"/tmp": "uid=100000,gid=100000,mode=0700"},
            read_only=True,
            remove=True,
        )
    finally:
        engine.close()

    assert said.decode().split() == ["100000", "/bin/sh", "root:x:0:"]


def test_the_image_is_the_same_bytes_each_time() -> None:
    busybox = busybox_path()

    archives = [
        image_archive(
            layer(busybox.read_bytes(), applets(busybox)), tag=IMAGE_TAG, architecture="amd64"
        )
        for _ in range(2)
    ]

    assert archives[0] == archives[1]


def test_a_binary_that_needs_a_loader_is_not_static() -> None:
    assert is_static(busybox_path().read_bytes())
    assert not is_static(Path(sys.executable).resolve().read_bytes())
    assert not is_static(b"#!/bin/sh\n")


def test_the_mailbox_keeps_a_letter(smtp_server: Mailbox) -> None:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "a@example.org", "b@example.org", "Hello"
    letter.set_content("A line.")

    with smtplib.SMTP(smtp_server.host, smtp_server.port, timeout=10) as client:
        client.send_message(letter)

    assert [kept["Subject"] for kept in smtp_server.letters] == ["Hello"]


@pytest.mark.browser
def test_the_browser_reads_a_page_from_loopback(page: Page, greeting_url: str) -> None:
    page.goto(greeting_url)

    assert page.get_by_role("heading").inner_text() == "Hello"


@pytest.mark.browser
def test_a_page_can_be_as_narrow_as_a_phone(new_page: Callable[..., Page]) -> None:
    phone = new_page(viewport={"width": 390, "height": 844})

    assert phone.evaluate("window.innerWidth") == 390


def test_a_shared_service_starts_once_and_ends_with_its_run() -> None:
    run = new_run()
    sleeper = subprocess.Popen(["sleep", "60"])
    starts: list[int] = []

    def start() -> Service:
        starts.append(sleeper.pid)
        return running(sleeper.pid, port="1")

    services = [shared_service(run.folder, "sleeper", start) for _ in range(2)]
    end_run(run)

    assert starts == [sleeper.pid]
    assert services[0] == services[1]
    assert sleeper.wait(timeout=10) != 0
    assert not run.folder.exists()


def test_a_run_that_was_killed_is_ended_by_the_next() -> None:
    run = new_run()
    sleeper = subprocess.Popen(["sleep", "60"])
    shared_service(run.folder, "sleeper", lambda: running(sleeper.pid))

    end_abandoned_runs()
    assert run.folder.exists()
    os.close(run.lock)  # as the end of the process would
    end_abandoned_runs()

    assert sleeper.wait(timeout=10) != 0
    assert not run.folder.exists()


def test_a_process_that_took_over_a_number_is_left_alone() -> None:
    sleeper = subprocess.Popen(["sleep", "60"])
    noted = running(sleeper.pid)

    stop(type(noted)(noted.pid, noted.started_at - 1, noted.stop_signal))

    assert sleeper.poll() is None
    stop(noted)
    assert sleeper.wait(timeout=10) != 0


class _Greeting(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>t</title><h1>Hello</h1>")

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing: the test's output is the test's."""


@pytest.fixture
def greeting_url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Greeting)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def _prepare_one_row(url: str) -> None:
    _rows(url, "CREATE TABLE one (n INTEGER)", "INSERT INTO one VALUES (1)", "SELECT 1")


def _rows(url: str, *statements: str) -> list[tuple[object, ...]]:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements[:-1]:
            connection.execute(text(statement))
        rows = [tuple(row) for row in connection.execute(text(statements[-1]))]
    engine.dispose()
    return rows
