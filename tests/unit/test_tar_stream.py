"""Archives from a machine that a hostile guest may have taken over: nothing in one leads out."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from pizarra.errors import PizarraError, StorageFault
from pizarra.model.sizes import GIB, MIB
from pizarra.system.tar_stream import RECORD_BYTES, Copied, Unpacking, unpack

TAR = ("tar", "-b", "128", "-cSf", "-", "--format=gnu", "--hard-dereference", "--sort=name")
NAME = "deep" * 20


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    """A student's tree, with all that they would try."""
    root = tmp_path / "guest"
    home = root / "home" / "ana"
    (home / "work").mkdir(parents=True)
    (home / "report.txt").write_text("what I did")
    os.utime(home / "report.txt", (10**9, 10**9))
    (home / "work" / "a").write_text("a")
    (home / "work" / "shadow").symlink_to("/etc/shadow")
    (home / "work" / "up").symlink_to("../../../..")
    os.mkfifo(home / "work" / "pipe")
    return root


def archive(root: Path, path: str) -> bytes:
    """What the machine sends of a path."""
    argv = [*TAR, "-C", str(root), "--", f"./{path}"]
    return subprocess.run(argv, check=True, capture_output=True).stdout


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, **more: object) -> bytes:
    """A member as an attacker writes it."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data)
    for key, value in more.items():
        setattr(info, key, value)
    header = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    return header + data + bytes(-len(data) % 512)


def folder(name: str) -> bytes:
    return member(name, kind=tarfile.DIRTYPE)


END = bytes(1024)


@contextmanager
def target_of(path: Path) -> Iterator[int]:
    path.mkdir(exist_ok=True)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def take(data: bytes | BinaryIO, path: str, to: Path, limit_bytes: int = GIB) -> Copied:
    """Unpack; an archive of a test need not be whole records."""
    if isinstance(data, bytes):
        data = io.BytesIO(data + bytes(-len(data) % RECORD_BYTES))
    copied = Copied()
    new = [part for part in path.split("/") if part] or ["disk"]
    with target_of(to) as fd:
        unpack(data, Unpacking(path=path, to=fd, new=new[-1], copied=copied,
                               limit_bytes=limit_bytes, progress=lambda _: None))  # fmt: skip
    return copied


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_unpack_when_a_file_then_is_there_with_its_time(guest: Path, tmp_path: Path) -> None:
    copied = take(archive(guest, "home/ana/report.txt"), "/home/ana/report.txt", tmp_path / "to")
    found = tmp_path / "to" / "report.txt"
    assert (copied.files, copied.size_bytes, copied.left_out) == (1, 10, [])
    assert (found.read_text(), found.stat().st_mtime) == ("what I did", 10**9)
    assert found.stat().st_mode & 0o777 == 0o600


def test_unpack_when_a_folder_then_plain_files_only_and_the_rest_is_told(
    guest: Path, tmp_path: Path
) -> None:
    copied = take(archive(guest, "home/ana"), "home/ana", tmp_path / "to")
    assert names(tmp_path / "to" / "ana") == ["report.txt", "work", "work/a"]
    assert copied.files == 2
    assert copied.left_out == [
        "home/ana/work/pipe: neither a file nor a folder",
        "home/ana/work/shadow: a link",
        "home/ana/work/up: a link",
    ]


def test_unpack_when_all_of_it_then_is_a_folder_of_its_own(guest: Path, tmp_path: Path) -> None:
    assert take(archive(guest, "."), "/", tmp_path / "to").files == 2
    assert (tmp_path / "to" / "disk" / "home" / "ana" / "report.txt").exists()


def test_unpack_when_two_come_one_after_another_then_each_begins_where_the_first_ended(
    guest: Path, tmp_path: Path
) -> None:
    both = archive(guest, "home/ana/report.txt") + archive(guest, "home/ana/work/a")
    stream = io.BytesIO(both)
    take(stream, "home/ana/report.txt", tmp_path / "to")
    take(stream, "home/ana/work/a", tmp_path / "to")
    assert names(tmp_path / "to") == ["a", "report.txt"]


def test_unpack_when_a_file_is_a_large_hole_then_stays_one(guest: Path, tmp_path: Path) -> None:
    with (guest / "hole").open("wb") as file:
        file.truncate(1 << 40)
        for number in range(1, 60):
            file.seek(number << 33)
            file.write(b"middle%d" % number)
    copied = take(archive(guest, "hole"), "/hole", tmp_path / "to")
    with (tmp_path / "to" / "hole").open("rb") as file:
        for number in range(1, 60):
            file.seek(number << 33)
            assert file.read(8).rstrip(b"\0") == b"middle%d" % number
    assert (tmp_path / "to" / "hole").stat().st_size == 1 << 40
    assert copied.size_bytes < MIB


def test_unpack_when_names_are_long_or_no_text_then_they_come_as_they_are(
    guest: Path, tmp_path: Path
) -> None:
    below = guest / "home" / NAME / NAME
    below.mkdir(parents=True)
    (below / "\xf1\udcff").write_text("x")
    (guest / "home" / "\x1b[2J\udcff").symlink_to("x")
    copied = take(archive(guest, "home"), "/home", tmp_path / "to")
    assert (tmp_path / "to" / "home" / NAME / NAME / "\xf1\udcff").read_text() == "x"
    assert r"/home/\x1b[2J\udcff: a link" in copied.left_out


def test_unpack_when_two_names_are_one_file_then_both_come(guest: Path, tmp_path: Path) -> None:
    os.link(guest / "home" / "ana" / "report.txt", guest / "home" / "twin")
    take(archive(guest, "home"), "/home", tmp_path / "to")
    assert (tmp_path / "to" / "home" / "twin").read_text() == "what I did"


def test_unpack_when_the_target_has_that_name_then_it_is_not_overwritten(
    guest: Path, tmp_path: Path
) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "report.txt").symlink_to(guest / "home" / "ana" / "work" / "a")
    with pytest.raises(FileExistsError):
        take(archive(guest, "home/ana/report.txt"), "home/ana/report.txt", tmp_path / "to")
    assert (guest / "home" / "ana" / "work" / "a").read_text() == "a"


# what no honest tar sends

HOSTILE_NAMES = {
    "upwards": "./home/../../out",
    "absolute": "/etc/cron.d/out",
    "another": "./else/out",
    "above": "./out",
    "below a file": "./home/a/out",
}


@pytest.mark.parametrize("case", HOSTILE_NAMES)
def test_unpack_when_a_name_leads_out_then_nothing_is_there(tmp_path: Path, case: str) -> None:
    data = folder("./home") + member("./home/a", b"a") + member(HOSTILE_NAMES[case], b"x") + END
    copied = take(data, "/home", tmp_path / "to")
    assert names(tmp_path / "to") == ["home", "home/a"]
    assert names(tmp_path) == ["to", "to/home", "to/home/a"]
    assert len(copied.left_out) == 1


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_unpack_when_a_link_comes_before_what_is_below_it_then_neither_is_made(
    tmp_path: Path, kind: bytes
) -> None:
    (tmp_path / "roots").mkdir()
    link = member("./home/l", kind=kind, linkname=str(tmp_path / "roots"))
    data = folder("./home") + link + member("./home/l/cron", b"x") + END
    copied = take(data, "/home", tmp_path / "to")
    assert names(tmp_path / "roots") == []
    assert names(tmp_path / "to") == ["home"]
    assert len(copied.left_out) == 2


def test_unpack_when_the_folder_was_there_before_then_nothing_comes_into_it(
    tmp_path: Path,
) -> None:
    """The machine may leave out the folder itself, and send what is below."""
    (tmp_path / "to" / "home").mkdir(parents=True)
    copied = take(member("./home/evil", b"x") + END, "/home", tmp_path / "to")
    assert names(tmp_path / "to") == ["home"]
    assert copied.left_out == ["/home/evil: its folder is missing"]


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_unpack_when_a_device_then_it_is_not_made(tmp_path: Path, kind: bytes) -> None:
    data = folder("./home") + member("./home/disk", kind=kind, devmajor=8, devminor=0) + END
    assert take(data, "/home", tmp_path / "to").left_out == [
        "/home/disk: neither a file nor a folder"
    ]
    assert names(tmp_path / "to") == ["home"]


def test_unpack_when_a_name_is_there_twice_then_the_first_stays(tmp_path: Path) -> None:
    data = folder("./home") + member("./home/a", b"first") + member("./home/a", b"second") + END
    copied = take(data, "/home", tmp_path / "to")
    assert (tmp_path / "to" / "home" / "a").read_text() == "first"
    assert copied.left_out == ["/home/a: its name is there twice"]


def test_unpack_when_folders_are_too_deep_then_they_are_left_out(tmp_path: Path) -> None:
    path, data = "./home", folder("./home")
    for _ in range(120):
        path += "/d"
        data += member("././@LongLink", path.encode() + b"\0", tarfile.GNUTYPE_LONGNAME)
        data += folder("d")
    copied = take(data + END, "/home", tmp_path / "to")
    assert len(names(tmp_path / "to")) == 101
    assert len(copied.left_out) == 20


def number(value: int) -> bytes:
    """In base 256, where octal has no room."""
    return b"%011o\0" % value if value < 8**11 else b"\x80" + value.to_bytes(11, "big")


def sparse(size_bytes: int, spans: list[tuple[int, int]], data: bytes) -> bytes:
    """A sparse member whose map says what it likes."""
    block = bytearray(member("./home/s", data, tarfile.GNUTYPE_SPARSE)[:512])
    for n, (offset, length) in enumerate(spans):
        at = 386 + 24 * n
        block[at : at + 24] = number(offset) + number(length)
    block[483:495] = number(size_bytes)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + data + bytes(-len(data) % 512)


LIES = {
    "name of a terabyte": member("././@LongLink", b"", tarfile.GNUTYPE_LONGNAME)[:124]
    + b"\x80" + (1 << 40).to_bytes(11, "big") + bytes(376),
    "damaged header": b"nonsense" * 64,
    "cut off in a file": member("./home/a", b"x" * 2048)[:1024],
    "spans that overlap": sparse(4096, [(0, 512), (100, 512)], bytes(1024)),
    "span behind the end": sparse(10, [(1 << 30, 512)], bytes(512)),
    "spans of another size": sparse(4096, [(0, 4096)], bytes(512)),
    "hole beyond all files": sparse(1 << 70, [], b""),
    "span beyond all files": sparse((1 << 70) + 1, [(1 << 70, 1)], b"x"),
}  # fmt: skip


def with_checksum(block: bytes) -> bytes:
    total = sum(block[:148]) + 8 * 32 + sum(block[156:512])
    return block[:148] + b"%06o\0 " % total + block[156:]


@pytest.mark.parametrize("lie", LIES)
def test_unpack_when_a_header_lies_then_refused_and_no_half_file_is_there(
    tmp_path: Path, lie: str
) -> None:
    data = LIES[lie]
    if lie == "name of a terabyte":
        data = with_checksum(data)
    with pytest.raises(StorageFault, match="did not come as they should"):
        take(io.BytesIO(folder("./home") + data), "/home", tmp_path / "to")
    assert names(tmp_path / "to") == ["home"]


class Endless(io.BytesIO):
    """An archive without an end."""

    def __init__(self, first: bytes, again: bytes) -> None:
        super().__init__()
        self.rest, self.again = first, again

    def read(self, size: int | None = -1) -> bytes:
        size = size or 0
        while len(self.rest) < size:
            self.rest += self.again
        data, self.rest = self.rest[:size], self.rest[size:]
        return data


def test_unpack_when_more_comes_than_the_disk_can_hold_then_stops(tmp_path: Path) -> None:
    names_of_files = b"".join(member(f"./home/{n}", b"x" * 4096) for n in range(64))
    with pytest.raises(StorageFault, match="more than the disk can hold"):
        take(io.BytesIO(folder("./home") + names_of_files), "/home", tmp_path / "to", 65536)
    size = sum(path.stat().st_size for path in (tmp_path / "to").rglob("*") if path.is_file())
    assert size <= 65536


def test_unpack_when_it_never_ends_then_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pizarra.system.tar_stream._ENTRIES_MAX", 5000)
    stream = Endless(folder("./home"), member("./home/a", b""))
    copied = Copied()
    with target_of(tmp_path / "to") as fd, pytest.raises(PizarraError, match="too many entries"):
        unpack(stream, Unpacking(path="home", to=fd, new="home", copied=copied, limit_bytes=GIB,
                                 progress=lambda _: None))  # fmt: skip
    assert len(copied.left_out) == 1000


def test_unpack_when_what_nobody_asked_for_never_ends_then_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pizarra.system.tar_stream._BESIDE_BYTES_MAX", MIB)
    block = bytearray(member("./other", b"")[:512])
    block[124:136] = number(1 << 62)
    stream = Endless(folder("./home") + with_checksum(bytes(block)), bytes(MIB))
    with pytest.raises(StorageFault, match="more than the disk can hold"):
        take(stream, "/home", tmp_path / "to", MIB)
