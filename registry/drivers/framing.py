"""Where a request of HTTP/1 ends in the bytes that came so far (RFC 9112 sections 6 and 7).

Only as much is read as tells whether all of it is here.  Whether it is right the server's own
parser says, once it is; what cannot be framed at all is handed to that parser at once, which
refuses it.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

HEAD_BYTES_MAX = 65_536
CHUNK_LINE_BYTES_MAX = 1_024
HEX = re.compile(rb"[0-9A-Fa-f]{1,15}")
BARE_LF = re.compile(rb"(?<!\r)\n")
DIGITS = re.compile(rb"[0-9]{1,15}")


class Wrong(StrEnum):
    """Why a request is answered before anybody reads it."""

    HEAD_TOO_LARGE = "431 Request Header Fields Too Large"
    BODY_TOO_LARGE = "413 Content Too Large"
    MALFORMED = "400 Bad Request"
    TOO_SLOW = "408 Request Timeout"


@dataclass(slots=True)
class Framing:
    """How far a request is here.

    head_bytes   where its header section ends, 0 while that is not here
    end          where it ends, None while that is not known
    length       its Content-Length; 0 for a chunked body and for none
    expects      whether it waits for `100 Continue` before it sends its body
    wrong        why it is refused, if it is
    """

    body_bytes_max: int
    head_bytes: int = 0
    end: int | None = None
    length: int = 0
    expects: bool = False
    wrong: Wrong | None = None
    _is_chunked: bool = False
    _at: int = 0
    _in_trailers: bool = False

    def looked_at(self, seen: bytearray) -> bool:
        """Whether a whole request stands at the beginning of `seen`, or it is wrong already."""
        if not self.head_bytes and not self._head(seen):
            return self.wrong is not None
        if self._is_chunked and self.end is None and self.wrong is None:
            self._chunks(seen)
        return self.wrong is not None or (self.end is not None and len(seen) >= self.end)

    def _head(self, seen: bytearray) -> bool:
        end = seen.find(b"\r\n\r\n", max(self._at - 3, 0))
        # A line that ends with LF alone is read differently by different servers.
        if BARE_LF.search(seen, max(self._at - 1, 0), end if end >= 0 else len(seen)):
            self.wrong = Wrong.MALFORMED
        elif end > HEAD_BYTES_MAX or (end < 0 and len(seen) > HEAD_BYTES_MAX):
            self.wrong = Wrong.HEAD_TOO_LARGE
        self._at = len(seen)
        if end < 0 or self.wrong is not None:
            return False
        self.head_bytes = self._at = end + 4
        self._read(bytes(seen[:end]))
        return True

    def _read(self, head: bytes) -> None:
        lengths: list[bytes] = []
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            match name.strip().lower():
                case b"transfer-encoding":
                    self._is_chunked = True
                case b"content-length":
                    lengths.append(value.strip())
                case b"expect":
                    self.expects = value.strip().lower() == b"100-continue"
        if self._is_chunked:
            # With a length beside it, it is refused by the parser, whatever follows.
            self.end = self.head_bytes if lengths else None
            return
        if len(lengths) == 1 and DIGITS.fullmatch(lengths[0]):
            self.length = int(lengths[0])
        self.end = self.head_bytes + self.length
        if self.length > self.body_bytes_max:
            self.wrong = Wrong.BODY_TOO_LARGE

    def _chunks(self, seen: bytearray) -> None:
        while self.end is None:
            if self._at - self.head_bytes > self.body_bytes_max:
                self.wrong = Wrong.BODY_TOO_LARGE
                return
            line_end = seen.find(b"\r\n", self._at, self._at + CHUNK_LINE_BYTES_MAX)
            if line_end < 0:
                if len(seen) - self._at >= CHUNK_LINE_BYTES_MAX:
                    self.wrong = Wrong.MALFORMED
                return
            line = bytes(seen[self._at : line_end])
            if self._in_trailers:
                self._at = line_end + 2
                if not line:
                    self.end = self._at
                continue
            size = HEX.fullmatch(line.partition(b";")[0].rstrip(b" \t"))
            if size is None:
                self.wrong = Wrong.MALFORMED
                return
            count = int(size.group(), 16)
            if count == 0:
                self._in_trailers = True
                self._at = line_end + 2
                continue
            after = line_end + 2 + count
            if after - self.head_bytes > self.body_bytes_max:
                self.wrong = Wrong.BODY_TOO_LARGE
                return
            if len(seen) < after + 2:
                return
            if seen[after : after + 2] != b"\r\n":
                self.wrong = Wrong.MALFORMED
                return
            self._at = after + 2
