"""File systems that a student made to harm whoever reads them."""

from __future__ import annotations

import json
import lzma
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.kernel import get_kernel
from pizarra.errors import AlreadyExists, BadInput, NotFound, PizarraError, StorageFault
from pizarra.model.sizes import GIB, MIB
from pizarra.system import guest_files
from pizarra.system.appliance import Appliance, reading_disk
from pizarra.system.disk_program import run_on_disk
from pizarra.system.ext_files import NewFile, linux_root
from pizarra.system.host_kernel import HostKernel, find_kernel
from pizarra.system.tar_stream import Copied
from tests.attack.conftest import SECRET, Secrets, as_user, give
from tests.attack.test_folders import PLANT
from tests.attack.test_images import PROBE

FILE_SYSTEMS = Path(__file__).parents[1] / "fixtures" / "file_systems"
START_BYTES = MIB
DEEP = "d" * 100


@pytest.fixture(scope="session")
def kernel() -> HostKernel:
    """The lab's: this machine may have none of its own."""
    return find_kernel(get_kernel().image.parent)


@contextmanager
def reading(disk: Path, kernel: HostKernel, number: int | None = None) -> Iterator[Appliance]:
    with reading_disk(disk, kernel) as appliance:
        guest_files.mount(appliance, number)
        yield appliance


def copy(appliance: Appliance, path: str, to: Path, limit_bytes: int = GIB) -> Copied:
    return guest_files.copy_out(
        appliance, path, to, limit_bytes=limit_bytes, progress=lambda _: None
    )


def command(*argv: object, text: str = "") -> str:
    done = subprocess.run([str(one) for one in argv], input=text, check=True, text=True,
                          capture_output=True)  # fmt: skip
    return done.stdout


def tree(folder: Path) -> Path:
    """What a student has."""
    home = folder / "tree" / "home" / "ana"
    (home / "work" / DEEP / DEEP).mkdir(parents=True)
    (home / "report.txt").write_text("what I did")
    (home / "work" / "a\xf1o \x1b[2J\nsend x").write_text("a")
    (home / "work" / DEEP / DEEP / "last").write_text("deep")
    (home / "work" / "shadow").symlink_to("/etc/shadow")
    (home / "work" / "up").symlink_to("../../../..")
    os.mkfifo(home / "work" / "pipe")
    os.mknod(home / "work" / "disk", 0o60600, os.makedev(8, 0))
    (folder / "tree" / "near").symlink_to("home")
    (folder / "tree" / "away").symlink_to("/etc")
    with (home / "hole").open("wb") as file:
        file.truncate(GIB)
        file.seek(GIB // 2)
        file.write(b"middle")
    return folder / "tree"


def make_ext(folder: Path, *more: str, kind: str = "ext4") -> Path:
    """A disk of two partitions; the second has the student's files."""
    part, disk = folder / "part", folder / "disk.raw"
    command("mke2fs", "-q", "-t", kind, "-d", tree(folder), *more, part, "32M")
    with disk.open("wb") as file:
        file.truncate(64 * MIB)
    command("sfdisk", "-q", disk, text="label: gpt\nsize=2048\nstart=8192,size=65536\n")
    with disk.open("r+b") as file:
        file.seek(8192 * 512)
        file.write(part.read_bytes())
    return disk


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_copy_when_a_student_tries_all_then_only_files_come_and_nothing_is_mounted_here(
    place: Path, secrets: Secrets, kernel: HostKernel
) -> None:
    disk = make_ext(place)
    content, mounts = disk.read_bytes(), Path("/proc/mounts").read_text()
    before = secrets.state()
    with reading(disk, kernel) as appliance:
        assert Path("/proc/mounts").read_text() == mounts
        copied = copy(appliance, "/home", place / "out")
        home = place / "out" / "home" / "ana"
        assert (home / "report.txt").read_text() == "what I did"
        assert (home / "work" / DEEP / DEEP / "last").read_text() == "deep"
        assert (home / "work" / "a\xf1o \x1b[2J\nsend x").read_text() == "a"
        assert (home / "hole").stat().st_size == GIB
        assert (home / "hole").stat().st_blocks * 512 < MIB
        assert not any(path.is_symlink() for path in (place / "out").rglob("*"))
        assert copied.files == 4
        assert sorted(copied.left_out) == [
            "/home/ana/work/disk: neither a file nor a folder",
            "/home/ana/work/pipe: neither a file nor a folder",
            "/home/ana/work/shadow: a link",
            "/home/ana/work/up: a link",
        ]
        for path in ("/away/shadow", "/near/ana/report.txt", "/home/ana/work/up/etc"):
            with pytest.raises(BadInput, match="is a link in the guest"):
                copy(appliance, path, place / "no")
        for path in ("/nothing", "/home/ana/report.txt/deeper"):
            with pytest.raises(NotFound):
                copy(appliance, path, place / "no")
        _check_links_to_the_target(appliance, place, secrets)
        assert copy(appliance, "/", place / "all").files == 4
        with pytest.raises(StorageFault, match="more than the disk can hold"):
            copy(appliance, "/home", place / "little", limit_bytes=10)
    assert not (place / "no").exists()
    assert disk.read_bytes() == content
    assert secrets.state() == before


def _check_links_to_the_target(appliance: Appliance, place: Path, secrets: Secrets) -> None:
    theirs = give(place / "theirs")
    as_user(PLANT, theirs, secrets.file, secrets.folder, "out/")
    for target in (theirs / "out", theirs / "out" / "below"):
        with pytest.raises(PizarraError, match="a link of another user"):
            copy(appliance, "/home/ana/report.txt", target)
    copy(appliance, "/home/ana/report.txt", theirs / "mine")
    assert (theirs / "mine" / "report.txt").exists()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_copy_when_another_kind_of_file_system_then_its_files_come(
    place: Path, kernel: HostKernel, kind: str
) -> None:
    disk = place / "disk"
    disk.write_bytes(lzma.decompress((FILE_SYSTEMS / f"{kind}.img.xz").read_bytes()))
    with reading(disk, kernel) as appliance:
        copied = copy(appliance, "/home", place / "out")
        with pytest.raises(AlreadyExists):
            copy(appliance, "/home", place / "out")
    assert (place / "out" / "home" / "ana" / "report.txt").read_text() == "what I did"
    assert "/home/ana/shadow: a link" in copied.left_out


@pytest.mark.long
def test_copy_when_vfat_then_names_are_right(place: Path, kernel: HostKernel) -> None:
    disk = place / "disk"
    with disk.open("wb") as file:
        file.truncate(32 * MIB)
    (place / "file").write_text("what I did")
    command("mkfs.vfat", disk)
    command("mcopy", "-i", disk, place / "file", "::informe del a\xf1o.txt")
    with reading(disk, kernel) as appliance:
        copy(appliance, "/", place / "out")
    assert names(place / "out" / "disk") == {"informe del a\xf1o.txt"}


@pytest.mark.long
def test_copy_when_ntfs_then_names_and_content_are_right(place: Path, kernel: HostKernel) -> None:
    """By ntfs-3g in the appliance: the lab's kernel, Debian 12's, has no driver."""
    disk = place / "disk"
    with disk.open("wb") as file:
        file.truncate(32 * MIB)
    (place / "file").write_text("what I did")
    command("mkntfs", "-q", "-F", "-Q", disk)
    command("ntfscp", "-q", disk, place / "file", "informe del a\xf1o.txt")
    with reading(disk, kernel) as appliance:
        copy(appliance, "/informe del a\xf1o.txt", place / "out")
    assert (place / "out" / "informe del a\xf1o.txt").read_text() == "what I did"


@pytest.mark.long
def test_copy_when_exfat_then_it_is_read(place: Path, kernel: HostKernel) -> None:
    """Nothing but a kernel writes files to it, so the disk has none."""
    disk = place / "disk"
    with disk.open("wb") as file:
        file.truncate(32 * MIB)
    command("mkfs.exfat", disk)
    with reading(disk, kernel) as appliance:
        assert copy(appliance, "/", place / "out").files == 0
        with pytest.raises(NotFound):
            copy(appliance, "/nothing", place / "no")


def corrupt_report(disk: Path) -> None:
    """An inode whose extents are nonsense, and a folder that holds itself."""
    where = f"{disk}?offset={8192 * 512}"
    lines = "sif /home/ana/report.txt block[0] 0xdeadbeef\nln /home/ana /home/ana/work/again\n"
    command("debugfs", "-w", "-f", "-", where, text=lines)


def test_copy_when_the_file_system_panics_its_kernel_then_an_error_in_words(
    place: Path, kernel: HostKernel
) -> None:
    """It says so itself: ``errors=panic``. A host that mounts it stops."""
    disk = make_ext(place, "-e", "panic")
    corrupt_report(disk)
    with (
        pytest.raises(StorageFault, match=r"did not come as they should|has ended"),
        reading(disk, kernel) as appliance,
    ):
        copy(appliance, "/home", place / "out")
    assert not any(path.is_file() for path in (place / "out").rglob("report.txt"))


@pytest.mark.long
def test_copy_when_the_file_system_is_damaged_then_what_can_be_read_comes(
    place: Path, kernel: HostKernel
) -> None:
    disk = make_ext(place, "-e", "continue")
    corrupt_report(disk)
    with reading(disk, kernel) as appliance:
        copied = copy(appliance, "/home", place / "out")
    found = names(place / "out")
    assert f"home/ana/work/{DEEP}/{DEEP}/last" in found
    assert "home/ana/report.txt" not in found
    assert any("report.txt" in line for line in copied.left_out)
    assert len(found) < 100


@pytest.mark.long
@pytest.mark.parametrize("damage", ["garbage", "geometry", "table"])
def test_mount_when_a_superblock_or_table_lies_then_an_error_in_words(
    place: Path, kernel: HostKernel, damage: str
) -> None:
    disk = make_ext(place)
    with disk.open("r+b") as file:
        if damage == "table":
            file.write(os.urandom(MIB))
        else:
            file.seek(8192 * 512 + 1024 + (4 if damage == "geometry" else 96))
            file.write(b"\xff" * (8 if damage == "geometry" else 64))
    with pytest.raises(PizarraError), reading(disk, kernel):
        pass


# programs that take a path to the disk


def test_program_when_it_is_taken_over_then_it_reaches_the_one_disk(place: Path) -> None:
    disk = place / "disk"
    disk.write_bytes(b"a disk" * 100)
    disk.chmod(0o600)
    argv = ["/usr/bin/python3", "-c", f"disk = open('{{disk}}', 'r+b'); {PROBE.lstrip()}"]
    found = json.loads(run_on_disk(argv, disk).stdout)
    (user,) = json.loads(found.pop("users"))
    assert 65536 <= user < 100000
    assert found.pop("root") == "['bin', 'dev', 'disk', 'files', 'lib', 'lib64', 'usr']"
    assert found.pop("fds") == "[3]"  # the disk
    found.pop("file size")
    denied = {"EACCES", "EPERM", "ENOENT", "EROFS", "ENETUNREACH", "ENOMEM"}
    assert {name: why for name, why in found.items() if why not in denied} == {}


def test_identity_when_names_in_the_guest_are_links_then_no_file_of_the_host_comes_or_changes(
    place: Path, secrets: Secrets
) -> None:
    root = place / "tree"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc" / "hostname").symlink_to(secrets.file)
    (root / "home").symlink_to(secrets.folder)
    disk = place / "disk"
    command("mke2fs", "-q", "-t", "ext4", "-d", root, disk, "8M")
    before = secrets.state()
    files = linux_root(disk)
    assert files
    assert SECRET not in (files.read("/etc/hostname") or b"")
    files.change({"/etc/hostname": NewFile(data=b"net-01\n")})
    assert files.read("/etc/hostname") == b"net-01\n"
    assert secrets.state() == before
