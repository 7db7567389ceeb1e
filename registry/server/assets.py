"""Static files under addresses that hold their hash, so that a browser may keep them for good."""

import hashlib
from pathlib import Path

from flask import Response, abort, request, send_from_directory

from web.environment import static_url

FOR_GOOD = "public, max-age=31536000, immutable"
FOR_A_WHILE = "public, max-age=300"


class Assets:
    """The files below one folder, hashed once at the start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._hashes = {
            path.relative_to(folder).as_posix(): _hash(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    def url(self, name: str) -> str:
        """Return the address of a file: `css/house.css` -> `/static/css/house.css?v=…`."""
        digest = self._hashes.get(name)
        return f"/static/{name}" if digest is None else static_url(name, digest)

    def serve(self, name: str) -> Response:
        """Return a file; nothing that was not there at the start."""
        if name not in self._hashes:
            abort(404)
        answer = send_from_directory(self._folder, name, conditional=True)
        asked = request.full_path.rstrip("?")
        is_pinned = asked == static_url(name, self._hashes[name])
        answer.headers["Cache-Control"] = FOR_GOOD if is_pinned else FOR_A_WHILE
        return answer


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
