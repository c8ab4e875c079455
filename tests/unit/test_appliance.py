"""What a machine that reads disks says when a guest has taken it over. The test is the machine."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from pizarra.errors import BadInput, HostNotFit, NotFound, StorageFault, Unsupported
from pizarra.system import guest_files
from pizarra.system.appliance import Appliance, Partition
from pizarra.system.guest_files import choose_partition, copy_out, names_of
from pizarra.system.host_kernel import find_kernel
from pizarra.system.initramfs import archive

Play = Callable[[str], bytes]


@contextmanager
def machine(play: Play, drivers: tuple[str, ...] = ("ext4",)) -> Iterator[Appliance]:
    """A machine that answers each order with what ``play`` says; no answer ends it."""
    ours, theirs = socket.socketpair()
    files, files_theirs = socket.socketpair()

    def answer() -> None:
        with (
            closing(theirs),
            closing(files_theirs),
            theirs.makefile("rb") as orders,
            suppress(OSError),  # nobody listens any more
        ):
            theirs.sendall(b"done\n")
            for order in orders:
                said = play(order.decode().rstrip("\n"))
                if not said:
                    return
                theirs.sendall(said)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        with closing(ours), closing(files), closing(Appliance(ours, files, drivers)) as appliance:
            appliance.wait()
            yield appliance
    finally:
        thread.join()


def part(number: int, size_bytes: int, kind: str) -> Partition:
    return Partition(number=number, size_bytes=size_bytes, kind=kind)


def test_partitions_when_told_then_numbers_sizes_and_kinds() -> None:
    told = b"part 1 2048 ext4\npart 5 8 LVM2_member\npart 6 8 \ndone\n"
    with machine(lambda _: told) as appliance:
        assert appliance.partitions() == (
            part(1, 1 << 20, "ext4"),
            part(5, 4096, "LVM2_member"),
            part(6, 4096, ""),
        )


LIES = {
    "no number": b"part x 8 ext4\ndone\n",
    "a number of 5000 digits": b"part 1 %b ext4\ndone\n" % (b"9" * 5000),
    "negative": b"part 1 -8 ext4\ndone\n",
    "another alphabet": "part ² 8 ext4\ndone\n".encode(),
    "another word": b"file /etc/shadow\ndone\n",
    "line without an end": b"x" * 100_000,
    "lines without an end": b"part 1 8 ext4\n" * 10_000,
    "bytes": b"\xff\x00\n" * 10 + b"done\n",
    "nothing": b"",
    "cut off": b"part 1 8 ext4\npar",
}


@pytest.mark.parametrize("lie", LIES)
def test_partitions_when_the_machine_lies_then_an_error_in_words(lie: str) -> None:
    said = [LIES[lie]]
    with (
        pytest.raises(StorageFault, match="has ended, or does not answer"),
        machine(lambda _: said.pop() if said else b"") as appliance,
    ):
        if lie == "cut off":
            appliance._orders.shutdown(socket.SHUT_WR)
        appliance.partitions()


def test_mount_when_the_kernel_refuses_then_says_why_without_codes_for_a_terminal() -> None:
    said = {"parts": b"part 1 2048 ext4\ndone\n"}
    fault = b"fault \x1b[2J bad superblock\ndone\n"
    with (
        machine(lambda order: said.get(order, fault)) as appliance,
        pytest.raises(StorageFault, match=r"\\x1b\[2J bad superblock"),
    ):
        guest_files.mount(appliance, None)


def test_mount_when_the_host_has_no_driver_then_says_what_to_install() -> None:
    with (
        machine(lambda _: b"part 1 2048 ntfs\ndone\n") as appliance,
        pytest.raises(Unsupported, match="ntfs") as caught,
    ):
        guest_files.mount(appliance, None)
    assert "apt install ntfs-3g" in caught.value.advice


def test_choose_when_none_is_named_then_the_largest_with_a_file_system() -> None:
    found = (part(1, 9 << 20, "swap"), part(2, 1 << 20, "vfat"), part(3, 4 << 20, "xfs"))
    assert choose_partition(found, None) == found[2]
    assert choose_partition(found, 2) == found[1]
    with pytest.raises(Unsupported):
        choose_partition(found, 1)
    with pytest.raises(NotFound, match="no partition 4"):
        choose_partition(found, 4)


@pytest.mark.parametrize("path", ["../secret", "/home/../../secret", "a\nsend b", "a\0b"])
def test_names_when_a_path_leads_upwards_or_gives_another_order_then_refused(path: str) -> None:
    with pytest.raises(BadInput):
        names_of(path)


def test_copy_when_a_name_is_missing_or_a_link_then_says_so(tmp_path: Path) -> None:
    said = {
        "look home": b"folder\ndone\n",
        "look home/ana": b"link /etc\x1b[2J\ndone\n",
        "look home/bea": b"missing\ndone\n",
    }
    with machine(lambda order: said[order]) as appliance:
        with pytest.raises(BadInput, match="is a link in the guest") as caught:
            copy_out(appliance, "/home/ana", tmp_path, limit_bytes=1, progress=lambda _: None)
        assert "\x1b" not in str(caught.value)
        with pytest.raises(NotFound):
            copy_out(appliance, "/home/bea", tmp_path, limit_bytes=1, progress=lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_kernel_when_none_is_there_then_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot" / "vmlinuz-6.1.0-1-amd64").write_bytes(b"")  # without its modules
    with pytest.raises(HostNotFit) as caught:
        find_kernel(tmp_path)
    assert "apt install linux-image-amd64" in caught.value.advice


def test_kernel_when_there_are_several_then_the_newest(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    for release in ("6.1.0-9-amd64", "6.1.0-10-amd64", "5.10.0-30-amd64"):
        (tmp_path / "boot" / f"vmlinuz-{release}").write_bytes(b"")
        (tmp_path / "lib/modules" / release).mkdir(parents=True)
        (tmp_path / "lib/modules" / release / "modules.dep").write_bytes(b"")
    assert find_kernel(tmp_path).release == "6.1.0-10-amd64"


def test_archive_when_made_then_cpio_unpacks_it(tmp_path: Path) -> None:
    data = archive({"init": b"#!/bin/sh\n", "lib/x/a.so": b"abc"}, ["dev"])
    subprocess.run(["busybox", "cpio", "-id"], input=data, cwd=tmp_path, check=True,
                   capture_output=True)  # fmt: skip
    assert (tmp_path / "lib/x/a.so").read_bytes() == b"abc"
    assert (tmp_path / "dev").is_dir()
    assert (tmp_path / "init").stat().st_mode & 0o777 == 0o755
