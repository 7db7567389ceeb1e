"""Slow and malformed clients, against the real server: nobody else notices them."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from protocol.wire import BODY_BYTES_MAX
from registry.drivers.framing import HEAD_BYTES_MAX, Framing, Wrong
from registry.drivers.patient_worker import BODY_S, GRACE_S, HEAD_S, PatientConnection

THREADS = 4
SLOW = 10 * THREADS
AT_ONCE_S = 1.0
HEAD = b"POST /a HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
BODY = b"hello"
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"

MALFORMED = {
    "length and chunks": HEAD + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n" + CHUNKS,
    "two lengths": HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n" + BODY,
    "two different lengths": HEAD + b"Content-Length: 5\r\nContent-Length: 3\r\n\r\n" + BODY,
    "a list of lengths": HEAD + b"Content-Length: 5, 5\r\n\r\n" + BODY,
    "a signed length": HEAD + b"Content-Length: +5\r\n\r\n" + BODY,
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "a length in other digits": HEAD + "Content-Length: ٣\r\n\r\n".encode() + BODY,
    "an unknown coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS,
    "chunked twice": HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKS,
    "two codings": HEAD + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + CHUNKS,
    "lines that end with LF": HEAD.replace(b"\r\n", b"\n") + b"Content-Length: 5\n\n" + BODY,
    "a folded line": HEAD + b"X-a: b\r\n c\r\nContent-Length: 5\r\n\r\n" + BODY,
    "a space before the colon": HEAD + b"X-a : b\r\nContent-Length: 5\r\n\r\n" + BODY,
    "a NUL": HEAD + b"X-a: b\0c\r\nContent-Length: 5\r\n\r\n" + BODY,
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": HEAD + b"Host: y\r\n\r\n",
    "a huge chunk size": HEAD + CHUNKED + b"\r\nfffffffffffffffff\r\n",
    "a negative chunk size": HEAD + CHUNKED + b"\r\n-1\r\n",
    "a chunk size with 0x": HEAD + CHUNKED + b"\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "no chunk size": HEAD + CHUNKED + b"\r\n\r\nhello\r\n",
    "a chunk that is too long": HEAD + CHUNKED + b"\r\n3\r\nhello\r\n0\r\n\r\n",
    "an endless chunk line": HEAD + CHUNKED + b"\r\n" + b"0" * 9_000,
    "a trailer that is no trailer": HEAD + CHUNKED + b"\r\n0\r\nHost: y\r\n\r\n",
}


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """One worker of four threads on a free port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    process = start(port)
    yield port, process
    process.terminate()
    process.wait(10)


@pytest.fixture
def port(server: tuple[int, subprocess.Popen[bytes]]) -> int:
    """Where it listens."""
    return server[0]


@pytest.mark.parametrize("what", ["nothing", "header section", "body", "chunks"])
def test_slow_sockets_without_number_hold_up_nobody(port: int, what: str) -> None:
    begun = {
        "nothing": b"",
        "header section": HEAD + b"X-a: ",
        "body": HEAD + b"Content-Length: 1000000\r\n\r\nabc",
        "chunks": HEAD + CHUNKED + b"\r\n5\r\nhel",
    }[what]
    with ExitStack() as open_sockets:
        for _ in range(SLOW):
            slow = open_sockets.enter_context(connected(port))
            slow.sendall(begun)
        began = time.monotonic()

        answers = [asked(port, HEAD + b"Content-Length: 5\r\n\r\n" + BODY) for _ in range(5)]

        assert time.monotonic() - began < AT_ONCE_S
    assert {status(answer) for answer in answers} == {200}


@pytest.mark.parametrize("name", sorted(MALFORMED))
def test_attack_1_to_10_what_can_be_read_in_two_ways_is_refused(port: int, name: str) -> None:
    answer = asked(port, MALFORMED[name])

    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1") == 1


def test_a_request_comes_in_pieces_and_is_served_whole(port: int) -> None:
    with connected(port) as client:
        rest = (b"\r\n2\r\nhe", b"\r\n3;a=b\r\nllo\r\n0\r", b"\n")
        for piece in (HEAD[:9], HEAD[9:], CHUNKED, *rest):
            client.sendall(piece)
            time.sleep(0.01)
        client.sendall(b"\r\n")

        assert b"POST /a hello" in read(client, until=b"hello")


def test_requests_sent_one_after_the_other_are_all_answered(port: int) -> None:
    one = HEAD + b"Content-Length: 5\r\n\r\n" + BODY
    last = HEAD + b"Connection: close\r\nContent-Length: 5\r\n\r\n" + BODY

    answer = asked(port, one + one + last)

    assert answer.count(b"POST /a hello") == 3


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(port: int) -> None:
    with connected(port) as client:
        client.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert client.recv(4_096) == b"HTTP/1.1 100 Continue\r\n\r\n"

        client.sendall(BODY)

        assert b"POST /a hello" in read(client, until=b"hello")


def test_a_body_that_is_too_large_is_refused_before_it_comes(port: int) -> None:
    length = str(BODY_BYTES_MAX + 1).encode()

    assert status(asked(port, HEAD + b"Content-Length: " + length + b"\r\n\r\n")) == 413
    assert status(asked(port, HEAD + b"X: " + b"a" * (HEAD_BYTES_MAX + 1))) == 431


def test_a_connection_is_closed_after_an_answer_that_says_so(port: int) -> None:
    with connected(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

        assert b"GET / " in read(client, until=b"")


def test_a_stopped_server_finishes_what_it_began() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    process = start(port)
    with connected(port) as client, connected(port):
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)

        answer = read(client, until=b"")

    assert status(answer) == 200
    assert process.wait(10) == 0


def test_headers_and_bodies_have_their_time() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        conn = PatientConnection(None, ours, None, None)
        began = conn.timeout - HEAD_S
        conn.received += HEAD

        assert not conn.moves_on(began)
        assert not conn.is_too_slow(began + HEAD_S - 0.1)
        assert conn.is_too_slow(began + HEAD_S)

        conn.received += b"Content-Length: 100000\r\n\r\n" + b"a" * 50_000
        assert not conn.moves_on(began)
        assert not conn.is_too_slow(began + BODY_S - 0.1)
        assert conn.is_too_slow(began + BODY_S)


def test_a_body_that_comes_drop_by_drop_is_given_up() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        conn = PatientConnection(None, ours, None, None)
        began = conn.timeout - HEAD_S
        conn.received += HEAD + b"Content-Length: 100000\r\n\r\n" + b"a" * 100

        assert not conn.moves_on(began)
        assert not conn.is_too_slow(began + GRACE_S - 0.1)
        assert conn.is_too_slow(began + GRACE_S)


@pytest.mark.parametrize("end", range(1, 80))
def test_no_part_of_a_request_is_taken_for_the_whole(end: int) -> None:
    whole = HEAD + CHUNKED + b"\r\n5;x\r\nhello\r\n0\r\nA: b\r\n\r\n"
    framing = Framing(BODY_BYTES_MAX)
    seen = bytearray()

    for at in range(0, len(whole), end):
        seen += whole[at : at + end]
        assert framing.looked_at(seen) == (len(seen) == len(whole))

    assert (framing.end, framing.wrong) == (len(whole), None)


def test_chunks_without_end_are_too_large() -> None:
    framing = Framing(1_000)

    assert framing.looked_at(bytearray(HEAD + CHUNKED + b"\r\n" + b"5\r\nhello\r\n" * 200))
    assert framing.wrong is Wrong.BODY_TOO_LARGE


def start(port: int) -> "subprocess.Popen[bytes]":
    """Run gunicorn over the echo, and wait until it answers."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "tests.registry.drivers.wsgi_echo:app"),
            *("--bind", f"127.0.0.1:{port}", "--threads", str(THREADS), "--no-control-socket"),
            *("--worker-class", "registry.drivers.patient_worker.PatientWorker"),
        ],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            if status(asked(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", wait_s=5)) == 200:
                return process
        except OSError:
            time.sleep(0.05)
    raise AssertionError("gunicorn does not answer")


def connected(port: int) -> socket.socket:
    """A connection to the server."""
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def asked(port: int, request: bytes, *, wait_s: float = 10) -> bytes:
    """Send a request as it is and return the answer."""
    with connected(port) as client:
        client.settimeout(wait_s)
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return read(client, until=b"")


def read(client: socket.socket, *, until: bytes) -> bytes:
    """What comes, up to some bytes or the end."""
    answer = b""
    while not until or until not in answer:
        came = client.recv(65_536)
        if not came:
            break
        answer += came
    return answer


def status(answer: bytes) -> int:
    """The status of the first answer."""
    found = re.match(rb"HTTP/1\.1 ([0-9]{3})", answer)
    assert found is not None, answer
    return int(found.group(1))
