"""A worker of gunicorn that waits for slow clients without lending them a thread.

gunicorn's threaded worker reads a request in the thread that serves it, for as long as the client
likes: a handful of sockets that send nothing stop everybody.  Here the one thread that accepts also
collects each request, without ever blocking, and hands it over when all of it is here.  A thread
serves it from memory, and has a limited time to send the answer.  A socket that stays behind is
answered 408 and closed; of too many sockets the one that waited longest gives way.
"""

import io
import socket
import time
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn import http  # type: ignore[import-untyped]  # it has no types
from gunicorn.http.errors import (  # type: ignore[import-untyped]  # it has no types
    InvalidHeader,
    UnsupportedTransferCoding,
)
from gunicorn.workers.gthread import (  # type: ignore[import-untyped]  # it has no types
    TConn,
    ThreadWorker,
)

from protocol.wire import BODY_BYTES_MAX
from registry.drivers.framing import Framing, Wrong

HEAD_S = 15
"""A header section must be here so long after its first byte; and that after a connection."""

BODY_S = 30
"""A body must be here so long after its header section, and longer only if it is large."""

BODY_BYTES_PER_S_MIN = 65_536
GRACE_S = 5
"""After so long a body must have come at BODY_BYTES_PER_S_SLOWEST on average."""

BODY_BYTES_PER_S_SLOWEST = 1_024
IDLE_S = 5
"""How long a connection is kept open for another request."""

LINGER_S = 2
"""How long what a client still sends is read and thrown away, so that it sees its answer."""

LOOK_S = 0.5
"""How often those who wait are looked through."""

ANSWER_S = 30
"""How long one piece of an answer may take to be sent."""

WAITING_MAX = 900
WAITING_BYTES_MAX = 128 * 1024 * 1024
RECEIVED_BYTES_MAX = 65_536
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class WholeRequest:
    """gunicorn's parser of one request that is here as a whole, read to its end at once.

    What is wrong with a chunk is found here, where it is the client's fault and no fault of ours;
    so is a request of HTTP/1.1 that names no host, or two (RFC 9112 section 3.2).
    """

    def __init__(self, parser: Any) -> None:
        self._parser = parser

    def __next__(self) -> Any:
        """Return the request, with a body that is known to be right."""
        try:
            read = next(self._parser)
        except UnsupportedTransferCoding:
            raise InvalidHeader("TRANSFER-ENCODING") from None
        hosts = sum(name == "HOST" for name, _ in read.headers)
        if hosts > 1 or (read.version >= (1, 1) and not hosts):
            raise InvalidHeader("HOST", req=read)
        read.body = io.BytesIO(read.body.read())
        return read

    def finish_body(self, **_limits: Any) -> bool:
        """Whether the connection may be used again: nothing of the body is left on it."""
        return True


class PatientConnection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """A connection, and what came on it so far."""

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.received = bytearray()
        self.begins(idle_s=HEAD_S)

    def begins(self, *, idle_s: float) -> None:
        """Wait for a request: for its first byte, then for the rest."""
        self.framing = Framing(BODY_BYTES_MAX)
        self.body_since: float | None = None
        self.closing = False
        self.timeout = time.monotonic() + (HEAD_S if self.received else idle_s)

    def moves_on(self, now: float) -> bool:
        """Look at what came; whether the request is whole, or wrong."""
        had_head = bool(self.framing.head_bytes)
        if self.framing.looked_at(self.received):
            return True
        if self.framing.head_bytes and not had_head:
            self.body_since = now
            self.timeout = now + max(BODY_S, self.framing.length // BODY_BYTES_PER_S_MIN)
            if self.framing.expects:
                _send(self.sock, CONTINUE)
        return False

    def is_too_slow(self, now: float) -> bool:
        """Whether it has used up its time, or sends its body drop by drop."""
        if now >= self.timeout:
            return True
        if self.body_since is None or now - self.body_since < GRACE_S:
            return False
        body = len(self.received) - self.framing.head_bytes
        return body < BODY_BYTES_PER_S_SLOWEST * (now - self.body_since)

    def init(self) -> None:
        """Give the parser the whole request, and nothing else to read from."""
        end = self.framing.end
        whole = bytes(self.received[:end])
        del self.received[:end]
        self.parser = WholeRequest(http.get_parser(self.cfg, iter([whole]), self.client))
        self.initialized = True
        self.sock.settimeout(ANSWER_S)


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Collects requests in its main thread; what `ThreadWorker` calls pending, waits here."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.waiting: dict[PatientConnection, None] = {}
        self.waiting_bytes = 0
        self.looked_at = 0.0

    def accept(self, listener: socket.socket) -> None:
        """Take a connection in and wait for its request."""
        try:
            taken, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        if len(self.waiting) >= WAITING_MAX:
            self._drop(next(iter(self.waiting)))
        self._wait(PatientConnection(self.cfg, taken, client, listener.getsockname()))

    def handle(self, conn: PatientConnection) -> bool:
        """Serve a request that is here as a whole; runs in a thread."""
        conn.data_ready = True
        return bool(super().handle(conn))

    def finish_request(self, conn: PatientConnection, fs: Any) -> None:
        """Wait for the next request of the connection, or close it."""
        if fs.cancelled() or fs.exception() is not None or not fs.result():
            self._linger(conn)
            return
        conn.begins(idle_s=IDLE_S if self.alive else LINGER_S)
        self._wait(conn)
        if conn.received:
            self._look(conn)

    def murder_pending(self) -> None:
        """Close what waited too long; when stopping, what has not begun to ask sooner."""
        now = time.monotonic()
        if now - self.looked_at < LOOK_S:
            return
        self.looked_at = now
        for conn in list(self.waiting):
            if conn.closing or not conn.received:
                if not self.alive:
                    conn.timeout = min(conn.timeout, now + LINGER_S)
                if now >= conn.timeout:
                    self._drop(conn)
            elif conn.is_too_slow(now):
                self._refuse(conn, Wrong.TOO_SLOW)

    def _wait(self, conn: PatientConnection) -> None:
        conn.sock.setblocking(False)
        self.waiting[conn] = None
        self.waiting_bytes += len(conn.received)
        self.poller.register(conn.sock, EVENT_READ, partial(self._read, conn))

    def _read(self, conn: PatientConnection, _sock: socket.socket) -> None:
        try:
            came = conn.sock.recv(RECEIVED_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            came = b""
        if not came:
            self._drop(conn)
        elif not conn.closing:
            if not conn.received:
                conn.timeout = time.monotonic() + HEAD_S
            conn.received += came
            self.waiting_bytes += len(came)
            self._look(conn)

    def _look(self, conn: PatientConnection) -> None:
        is_whole = conn.moves_on(time.monotonic())
        wrong = conn.framing.wrong
        if wrong is not None:
            self._refuse(conn, wrong)
        elif is_whole:
            self._leave(conn)
            self.enqueue_req(conn)
        elif self.waiting_bytes > WAITING_BYTES_MAX:
            self._refuse(conn, Wrong.TOO_SLOW)

    def _refuse(self, conn: PatientConnection, wrong: Wrong) -> None:
        _send(conn.sock, _answer(wrong))
        self._leave(conn)
        self._linger(conn)

    def _linger(self, conn: PatientConnection) -> None:
        """Close a connection once its client has seen the answer (RFC 9112 section 9.6)."""
        conn.received.clear()
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.nr_conns -= 1
            conn.close()
            return
        conn.closing = True
        conn.timeout = time.monotonic() + LINGER_S
        self._wait(conn)

    def _leave(self, conn: PatientConnection) -> None:
        del self.waiting[conn]
        self.waiting_bytes -= len(conn.received)
        self.poller.unregister(conn.sock)

    def _drop(self, conn: PatientConnection) -> None:
        self._leave(conn)
        self.nr_conns -= 1
        conn.close()


def _send(to: socket.socket, answer: bytes) -> None:
    """Send a few bytes if there is room for them; nobody waits for a client that takes none."""
    try:
        to.send(answer)
    except OSError:
        return


def _answer(wrong: Wrong) -> bytes:
    body = f'{{"title":"{wrong.value.partition(" ")[2]}","status":{wrong.value[:3]}}}'
    return (
        f"HTTP/1.1 {wrong.value}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n"
        f"Cache-Control: no-store\r\n\r\n{body}"
    ).encode()
