"""A container registry on loopback with one image, which can be made to lie or to stall.

It speaks as much of the distribution API (v2) as the Docker Engine needs to pull by digest.
"""

import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"
NAME = "acme/work"
MISSING = json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN"}]}).encode()


@dataclass
class ImageRegistry:
    """`reference` names its image by digest; the other fields make it misbehave."""

    port: int
    blobs: dict[str, bytes]
    manifest: bytes
    lies: bool = False
    stalls: threading.Event | None = None
    asked: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def reference(self) -> str:
        return f"{self.host}/{NAME}@{self.digest}"

    def body(self, path: str) -> bytes | None:
        """Return what lies under a path, or None."""
        self.asked.append(path)
        if path == "/v2/":
            return b"{}"
        if path.startswith(f"/v2/{NAME}/manifests/"):
            known = path.endswith(self.digest)
            return self.manifest + (b" " if self.lies else b"") if known else None
        if self.stalls is not None:
            self.stalls.wait(60)
            return None
        return self.blobs.get(path.rpartition("/")[2])


@contextmanager
def image_registry(layer_tar: bytes, *, config: dict[str, Any]) -> Iterator[ImageRegistry]:
    """Serve an image of one layer until the end of the block."""
    registry = one_image(layer_tar, config)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler_for(registry)) as server:
        server.daemon_threads = True
        registry.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield registry
        finally:
            if registry.stalls is not None:
                registry.stalls.set()
            server.shutdown()
            thread.join()


def one_image(layer_tar: bytes, config: dict[str, Any]) -> ImageRegistry:
    layer = gzip.compress(layer_tar, mtime=0)
    whole = {
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer_tar)]},
    }
    config_bytes = json.dumps(whole).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": described(CONFIG_TYPE, config_bytes),
        "layers": [described(LAYER_TYPE, layer)],
    }
    blobs = {digest_of(config_bytes): config_bytes, digest_of(layer): layer}
    return ImageRegistry(port=0, blobs=blobs, manifest=json.dumps(manifest).encode())


def handler_for(registry: ImageRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = registry.body(self.path)
            answer = MISSING if body is None else body
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", MANIFEST_TYPE if "manifests" in self.path else "a/b")
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                with suppress(BrokenPipeError):
                    self.wfile.write(answer)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Tests read `asked` instead."""

    return Handler


def described(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "size": len(content), "digest": digest_of(content)}


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
