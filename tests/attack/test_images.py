"""Images that change between look and use, and that would reach what is root's."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from pizarra.errors import BadInput, NotOurs, PizarraError, StorageFault
from pizarra.model.sizes import MIB
from pizarra.storage.image_reader import Monitor, UnreadableImage, reading_image
from pizarra.storage.images import copy, export, image_info, is_same_content
from pizarra.storage.qcow2.overlay import copy_over
from pizarra.storage.qcow2.report import backing_files
from pizarra.system.jail import jail
from pizarra.system.process import piping, run
from tests.attack.conftest import SECRET, Secrets, beside_as_user, give
from tests.contract.storage_qcow2 import create_image, write_image

SIZE = 4 * MIB
LARGE = 256 * MIB
# the header of a qcow2 file: where the name of its backing file stands, and how long it is
REWRITE = """
import struct, sys, time
path, backing, every_s = sys.argv[1], sys.argv[2].encode(), float(sys.argv[3])
with open(path, "r+b", buffering=0) as file:
    file.seek(60000)
    file.write(backing)
    while True:
        for at, length in ((60000, len(backing)), (0, 0)):
            file.seek(8)
            file.write(struct.pack(">QI", at, length))
            time.sleep(every_s)
"""


def quiet(_: float) -> None:
    """Nobody watches."""


def set_backing(image: Path, backing: str) -> None:
    """Rewrite the header, as who owns the file can at any time; no time of the file tells it."""
    seen = image.stat()
    with image.open("r+b") as file:
        file.seek(60000)
        file.write(backing.encode())
        file.seek(8)
        file.write(struct.pack(">QI", 60000, len(backing)))
    os.utime(image, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def content(image: Path) -> bytes:
    argv = ["qemu-img", "dd", "-O", "raw", f"if={image}", "of=/dev/stdout", "bs=1M"]
    with tempfile.NamedTemporaryFile() as raw:
        argv = ["qemu-img", "convert", "-O", "raw", str(image), raw.name]
        subprocess.run(argv, check=True)
        return Path(raw.name).read_bytes()


@pytest.fixture
def secret(secrets: Secrets) -> Path:
    """A raw disk that only root can read."""
    secrets.file.write_bytes(SECRET.ljust(SIZE, b"\0"))
    return secrets.file


@pytest.fixture
def upload(place: Path) -> Path:
    """An image of the user's."""
    image = create_image(give(place / "uploads") / "image", SIZE)
    os.chown(image, image.parent.stat().st_uid, -1)
    return image


# rewritten after the look


def test_copy_when_a_backing_file_is_named_after_the_look_then_refused_and_no_secret_comes(
    upload: Path, secret: Path, place: Path
) -> None:
    target = create_image(place / "target", SIZE)
    seen = image_info(upload)
    set_backing(upload, str(secret))
    with pytest.raises(BadInput, match="stands on another image"):
        copy(upload, "qcow2", target, "qcow2", target_is_zero=True, progress=quiet, seen=seen)
    assert SECRET not in content(target)


@pytest.mark.long
def test_copy_when_the_file_is_rewritten_during_it_then_no_secret_comes(
    upload: Path, secret: Path, place: Path
) -> None:
    """Whichever header the child happens to read."""
    refused = 0
    with beside_as_user(REWRITE, upload, secret, 0.003):
        for number in range(12):
            target = create_image(place / f"target{number}", SIZE)
            try:
                copy(upload, "qcow2", target, "qcow2", target_is_zero=True, progress=quiet)
            except BadInput:
                refused += 1
            assert SECRET not in content(target)
    assert refused, "the attack must have been at the right moment at least once"


@pytest.mark.parametrize("how", ["written", "exchanged", "grown"])
def test_copy_when_the_file_changed_since_the_look_then_says_so(
    upload: Path, secret: Path, place: Path, how: str
) -> None:
    seen = image_info(upload)
    before = upload.stat()
    if how == "written":
        write_image(upload, MIB, b"another")
        os.utime(upload, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif how == "exchanged":
        upload.unlink()
        upload.symlink_to(secret)
    else:
        subprocess.run(["qemu-img", "resize", "-q", "-f", "qcow2", upload, "8M"], check=True)
    target = create_image(place / "target", 2 * SIZE)
    form = "raw" if how == "exchanged" else "qcow2"
    with pytest.raises(BadInput, match="was changed while it was copied"):
        copy(upload, form, target, "qcow2", target_is_zero=True, progress=quiet, seen=seen)
    assert SECRET not in content(target)


@pytest.mark.parametrize("work", ["export", "compare"])
def test_work_when_an_image_names_a_secret_as_its_backing_file_then_it_is_not_read(
    upload: Path, secret: Path, place: Path, work: str
) -> None:
    set_backing(upload, str(secret))
    if work == "export":
        with pytest.raises(NotOurs, match="no template's image"):
            export(upload, "qcow2", place / "out", quiet)
    else:
        assert not is_same_content(upload, "qcow2", secret, "raw")


def test_data_file_when_named_after_the_look_then_it_is_not_read(
    upload: Path, secret: Path, place: Path
) -> None:
    outside = create_image(
        place / "outside", SIZE, "-o", f"data_file={place / 'data'},data_file_raw=on"
    )
    data = outside.read_bytes().replace(str(place / "data").encode(), str(secret).encode()[:200])
    seen = image_info(upload)
    upload.write_bytes(data)
    target = create_image(place / "target", SIZE)
    with pytest.raises(BadInput):
        copy(upload, "qcow2", target, "qcow2", target_is_zero=True, progress=quiet, seen=seen)
    assert SECRET not in content(target)


def test_child_when_a_backing_file_is_named_before_it_opens_then_it_has_none(
    upload: Path, secret: Path
) -> None:
    """What the child would send, if nobody looked at all."""
    set_backing(upload, str(secret))
    with reading_image(upload, "qcow2") as image, tempfile.NamedTemporaryFile() as raw:
        assert image.backing == str(secret)
        run(["qemu-img", "convert", "-f", "raw", "-O", "raw", image.url, raw.name])
        assert SECRET not in Path(raw.name).read_bytes()


# overlays of a QEMU that its guest has taken over


def test_overlay_when_its_qemu_wrote_another_name_into_it_then_no_copy_stands_on_a_secret(
    place: Path, secret: Path
) -> None:
    for part in ("templates", "seats"):
        (place / part).mkdir()
    golden = create_image(place / "templates" / "debian.v1.vda.qcow2", SIZE)
    seat = create_image(
        place / "seats" / "net-01.vda.qcow2", SIZE, "-b", str(golden), "-F", "qcow2"
    )
    assert backing_files(seat) == [golden]
    set_backing(seat, str(secret))
    other = place / "seats" / "net-02.vda.qcow2"
    with pytest.raises(NotOurs, match="no template's image"):
        copy_over(other, seat)
    assert sorted(path.name for path in seat.parent.iterdir()) == [seat.name]
    (place / "templates" / "evil.qcow2").symlink_to(secret)
    set_backing(seat, str(place / "templates" / "evil.qcow2"))
    with pytest.raises(NotOurs):
        backing_files(seat)


# what the child can reach

PROBE = """
import ctypes, errno, json, os, resource, socket
found = {}
def attempt(name, act):
    try:
        found[name] = str(act())
    except OSError as error:
        found[name] = errno.errorcode[error.errno]
    except MemoryError:
        found[name] = "ENOMEM"
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *argv):
    if getattr(libc, name)(*argv) != 0:
        raise OSError(ctypes.get_errno(), name)
attempt("users", lambda: sorted(set(os.getresuid() + os.getresgid() + tuple(os.getgroups()))))
attempt("root", lambda: sorted(os.listdir("/")))
def is_open(n):
    try:
        return bool(os.fstat(n))
    except OSError:
        return False
attempt("fds", lambda: [n for n in range(3, 256) if is_open(n)])
for path in ("/etc/passwd", "/proc/self/status", "/dev/mem", "/run", "/var", "/tmp", "/sys"):
    attempt(path, lambda: os.stat(path))
attempt("write", lambda: os.open("/new", os.O_WRONLY | os.O_CREAT))
attempt("write usr", lambda: os.open("/usr/new", os.O_WRONLY | os.O_CREAT))
attempt("out", lambda: os.chroot("/usr"))
attempt("user namespace", lambda: call("unshare", 0x10000000))
attempt("mount", lambda: call("mount", b"none", b"/usr", b"tmpfs", 0, None))
attempt("root user", lambda: os.setuid(0))
attempt("device", lambda: os.mknod("/usr/disk", 0o60600, os.makedev(8, 0)))
attempt("network", lambda: socket.create_connection(("127.0.0.1", 22), 1))
attempt("memory", lambda: len(bytearray(3 << 30)))
attempt("signal", lambda: os.kill(os.getppid(), 0))
attempt("file size", lambda: resource.getrlimit(resource.RLIMIT_FSIZE))
print(json.dumps(found))
"""


def test_child_when_it_is_taken_over_then_it_reaches_nothing(place: Path) -> None:
    (place / "root").mkdir()
    said = run(jail(["/usr/bin/python3", "-c", PROBE], place / "root")).stdout
    found = json.loads(said)
    (user,) = json.loads(found.pop("users"))
    assert 65536 <= user < 100000
    assert found.pop("root") == "['bin', 'dev', 'lib', 'lib64', 'usr']"
    assert found.pop("file size") == "(0, 0)"
    assert found.pop("fds") == "[]"
    denied = {"EACCES", "EPERM", "ENOENT", "EROFS", "ENETUNREACH", "ENOMEM"}
    assert {name: why for name, why in found.items() if why not in denied} == {}


_GREETING = b'{"QMP": {}}\n{"return": {}}\n'


@pytest.mark.parametrize(
    "lie",
    [
        b"",
        b"[]\n",
        b"7\n",
        b'"return"\n',
        b"\xff\n",
        b"[" * 100_000 + b"\n",
        b'{"error": "no desc"}\n',
        b'{"error": {"desc": 7}}\n',
        b'{"error": {"desc": "\\ud800\\u001b[31m"}}\n',
        b'{"event": "x"}\n' * 5000,
        b'{"return": {}}\n',
        b'{"return": [{"node-name": "disk"}]}\n',
        b'{"return": [{"node-name": "other", "image": {"virtual-size": 1}}]}\n',
        b'{"return": [{"node-name": "disk", "image": {"virtual-size": -1}}]}\n',
        b'{"return": [{"node-name": "disk", "image": {"virtual-size": 1e400}}]}\n',
    ],
)
def test_child_when_it_is_taken_over_and_lies_then_the_image_is_refused_in_words(
    lie: bytes,
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(60)

        def say() -> None:
            with suppress(OSError):
                theirs.sendall(_GREETING + lie)
                theirs.shutdown(socket.SHUT_WR)

        saying = threading.Thread(target=say)
        saying.start()
        with pytest.raises(UnreadableImage) as refusal:
            Monitor(ours).image()
        ours.close()
        saying.join()
    assert str(refusal.value).isprintable()


def test_child_when_we_are_killed_then_it_ends(upload: Path) -> None:
    script = (
        f"import os, sys; sys.path[:0] = {sys.path!r}\n"
        "from pathlib import Path\n"
        "from pizarra.storage.image_reader import reading_image\n"
        f"with reading_image(Path({str(upload)!r}), 'qcow2'):\n"
        "    print(open(f'/proc/self/task/{os.getpid()}/children').read(), flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    (child,) = done.stdout.split()
    with piping(["tail", f"--pid={child}", "-f", "/dev/null"]) as waiting:
        assert waiting.wait(30) == 0


@pytest.mark.long
def test_copy_when_the_child_ends_in_it_then_fails_in_words(place: Path) -> None:
    """The image is large, so that the copy is under way when the child ends."""
    large = create_image(place / "large", LARGE)
    write_image(large, 0, os.urandom(1 << 20) * (LARGE >> 20))
    target = create_image(place / "target", LARGE)

    def end_child(_: float) -> None:
        for task in Path("/proc/self/task").iterdir():
            for child in (task / "children").read_text().split():
                if b"qemu-system" in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(int(child), signal.SIGKILL)

    with pytest.raises(StorageFault, match=r"The copy of .* failed"):
        copy(large, "qcow2", target, "qcow2", target_is_zero=True, progress=end_child)


def test_image_when_its_l1_table_names_one_table_a_million_times_then_it_is_read_once(
    upload: Path,
) -> None:
    """Seen before: with 2^22 entries of one table, 15 s of a processor were not enough."""
    write_image(upload, 0, b"a cluster, so that there is a table")
    count = 1 << 22
    with upload.open("r+b") as file:
        file.seek(40)
        (table,) = struct.unpack(">Q", file.read(8))
        file.seek(table)
        entry = file.read(8)
        end = file.seek(0, os.SEEK_END) + 65535 & ~65535
        file.seek(end)
        file.write(entry * count)
        file.seek(36)
        file.write(struct.pack(">IQ", count, end))
    script = f"""if True:
        import sys; sys.path[:0] = {sys.path!r}
        from pathlib import Path
        from pizarra.storage.qcow2.header import needed_bytes
        with Path({str(upload)!r}).open("rb") as file:
            print(needed_bytes(file))
    """
    argv = ["prlimit", "--cpu=60", sys.executable, "-c", script]
    assert int(subprocess.run(argv, check=True, capture_output=True).stdout) > 0


@pytest.mark.parametrize("field", ["L1 size", "refcount size", "snapshots", "cluster bits"])
def test_image_when_a_size_in_it_is_a_lie_then_refused_within_the_limits(
    upload: Path, field: str
) -> None:
    at = {"L1 size": 36, "refcount size": 56, "snapshots": 60, "cluster bits": 20}[field]
    with upload.open("r+b") as file:
        file.seek(at)
        file.write(b"\x7f\xff\xff\xff")
    with pytest.raises(PizarraError):
        image_info(upload)
