"""A container image made on the spot from the machine's own static busybox.

Where no image can be pulled (no uplink, a bare machine) the demo and the tests still need a real
one.  The image has one layer: busybox, its applets as links, /etc/passwd, /etc/group and /tmp.
Every byte of it is fixed by the busybox binary, so building it twice gives the same image id.

    python -m sites.demo.rootfs        loads the image into the Docker Engine, prints its id
"""

import hashlib
import io
import json
import shutil
import struct
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import docker
from docker.errors import ImageNotFound

IMAGE_TAG = "outstation/busybox:1"
OWNER_ID = 0
FOREVER = "1970-01-01T00:00:00Z"
FOLDERS = ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "var", "var/tmp")
OPEN_FOLDERS = ("tmp", "var/tmp")
TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
}
ELF64_PROGRAM_HEADERS = "<32xQ14xHH"  # e_phoff, e_phentsize, e_phnum
ELF_MAGIC_LITTLE_64 = b"\x7fELF\x02\x01"
PT_INTERP = 3


class RootfsError(Exception):
    """The image cannot be made here; the text says what to install."""


def busybox_path() -> Path:
    """The machine's busybox; refused when it needs a dynamic loader the image will not have."""
    found = shutil.which("busybox")
    if found is None:
        raise RootfsError("busybox is missing: apt-get install busybox-static")
    path = Path(found).resolve()
    if not is_static(path.read_bytes()):
        raise RootfsError(f"{path} is not static: apt-get install busybox-static")
    return path


def is_static(binary: bytes) -> bool:
    """Whether a 64-bit ELF file runs by itself: it names no program interpreter (PT_INTERP)."""
    if not binary.startswith(ELF_MAGIC_LITTLE_64):
        return False
    table, entry_bytes, entries = struct.unpack_from(ELF64_PROGRAM_HEADERS, binary)
    kinds = [
        struct.unpack_from("<I", binary, table + index * entry_bytes)[0] for index in range(entries)
    ]
    return PT_INTERP not in kinds


def applets(busybox: Path) -> tuple[str, ...]:
    """The commands this busybox answers to, sorted, without itself."""
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    return tuple(sorted(set(listed.stdout.split()) - {"busybox"}))


def layer(busybox: bytes, applet_names: tuple[str, ...]) -> bytes:
    """The file system as an uncompressed tar: same input, same bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for folder in FOLDERS:
            mode = 0o1777 if folder in OPEN_FOLDERS else 0o755
            tar.addfile(_member(folder, kind=tarfile.DIRTYPE, mode=mode))
        for path, text in TEXTS.items():
            _add_file(tar, path, text.encode(), mode=0o644)
        _add_file(tar, "bin/busybox", busybox, mode=0o755)
        for name in applet_names:
            tar.addfile(_member(f"bin/{name}", kind=tarfile.SYMTYPE, target="busybox"))
    return packed.getvalue()


def image_archive(layer_tar: bytes, *, tag: str, architecture: str) -> bytes:
    """A docker-archive of one layer, as `docker load` reads it (image-spec v1.2)."""
    config = {
        "architecture": architecture,
        "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"], "WorkingDir": "/"},
        "created": FOREVER,
        "history": [{"created": FOREVER, "created_by": "busybox-static"}],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer_tar)]},
    }
    config_json = _json(config)
    config_name = f"{hashlib.sha256(config_json).hexdigest()}.json"
    manifest = [{"Config": config_name, "Layers": ["layer.tar"], "RepoTags": [tag]}]
    return _archive(
        {config_name: config_json, "layer.tar": layer_tar, "manifest.json": _json(manifest)}
    )


def load_image(tag: str = IMAGE_TAG) -> str:
    """Bring the image into the engine and return its id, `sha256:…`; loaded once per engine."""
    busybox = busybox_path()
    layer_tar = layer(busybox.read_bytes(), applets(busybox))
    engine = docker.from_env()
    try:
        architecture = str(engine.version()["Arch"])
        engine.images.load(image_archive(layer_tar, tag=tag, architecture=architecture))
        return str(engine.images.get(tag).id)
    except ImageNotFound as error:
        raise RootfsError(f"the engine took the image and does not list {tag}") from error
    finally:
        engine.close()


def _member(
    name: str, *, kind: bytes, mode: int = 0o777, size: int = 0, target: str = ""
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.mode = mode
    member.size = size
    member.linkname = target
    member.uid = member.gid = OWNER_ID
    return member


def _add_file(tar: tarfile.TarFile, name: str, content: bytes, *, mode: int) -> None:
    member = _member(name, kind=tarfile.REGTYPE, mode=mode, size=len(content))
    tar.addfile(member, io.BytesIO(content))


def _archive(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            _add_file(tar, name, content, mode=0o644)
    return packed.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{load_image()}\n")
    except RootfsError as error:
        sys.exit(f"error: {error}")
