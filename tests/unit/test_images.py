"""Images from elsewhere: told by their first bytes, refused when they name other files, copied."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pizarra.errors import BadInput, StorageFault
from pizarra.model.sizes import KIB, MIB
from pizarra.storage.image_checks import length_fault, signature_fault, vhdx_end
from pizarra.storage.images import ImageInfo, copy, image_info, is_same_content
from tests.contract.storage_qcow2 import create_image, holding_image, write_image

SIZE = 4 * MIB
DATA = bytes(range(256)) * 256


def created(path: Path, form: str, *options: str) -> Path:
    argv = ["qemu-img", "create", "-q", "-f", form, *options, str(path), str(SIZE)]
    subprocess.run(argv, check=True)
    return path


def quiet(_: float) -> None:
    """Nobody watches."""


@contextmanager
def loop_device(file: Path) -> Iterator[Path]:
    argv = ["losetup", "--find", "--show", str(file)]
    device = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield Path(device)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


# what it is


@pytest.mark.parametrize("form", ["qcow2", "raw", "vmdk", "vdi", "vhdx", "vpc"])
def test_info_when_of_a_known_format_then_says_which_and_how_large(
    tmp_path: Path, form: str
) -> None:
    info = image_info(created(tmp_path / "disk", form))
    assert (info.format, info.backing) == (form, "")
    assert SIZE <= info.virtual_size_bytes < SIZE + MIB  # a VHD has whole cylinders
    assert info.content_bytes < 3 * MIB


def test_info_when_compressed_then_what_it_unpacks_to_is_said(tmp_path: Path) -> None:
    """24 MiB of one letter, in some 30 KiB."""
    raw, packed = tmp_path / "raw", tmp_path / "packed"
    raw.write_bytes(b"A" * 24 * MIB + bytes(40 * MIB))
    subprocess.run(["qemu-img", "convert", "-c", "-O", "qcow2", raw, packed], check=True)
    assert packed.stat().st_size < MIB
    assert 24 * MIB <= image_info(packed).content_bytes < 26 * MIB


def test_info_when_vhd_is_of_fixed_size_then_is_told_by_its_end(tmp_path: Path) -> None:
    image = created(tmp_path / "disk", "vpc", "-o", "subformat=fixed")
    assert image_info(image).format == "vpc"


def test_info_when_path_is_relative_then_answer_is_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    created(tmp_path / "-o", "qcow2")
    assert image_info(Path("-o")) == ImageInfo(
        path=tmp_path / "-o",
        format="qcow2",
        virtual_size_bytes=SIZE,
        content_bytes=image_info(tmp_path / "-o").content_bytes,
    )


def test_info_when_name_looks_like_a_protocol_then_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("nbd:localhost:1", 'json:{"driver":"null-co"}', "fat:rw:x"):
        (tmp_path / name).write_bytes(bytes(MIB))
        assert image_info(Path(name)).virtual_size_bytes == MIB


def test_info_when_source_is_a_block_device_then_is_raw(tmp_path: Path) -> None:
    file = tmp_path / "disk"
    file.write_bytes(bytes(MIB))
    with loop_device(file) as device:
        info = image_info(device)
    assert (info.format, info.virtual_size_bytes, info.content_bytes) == ("raw", MIB, MIB)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"# A text file\n", "whole sectors"),
        (b"\x1f\x8b\x08" + bytes(1021), "gzip"),
        (b"PK\x03\x04" + bytes(1020), "zip"),
        (bytes(257) + b"ustar" + bytes(762), "archive"),
        (b"QED\0" + bytes(1020), "qed"),
        (b"QFI\xfb\0\0\0\x01" + bytes(1016), "version 1"),
        (b"QFI\xfb\0\0\0\x03", "cut off"),
        (b"KDMV" + bytes(1020), "other files"),
        (b"COWD" + bytes(1020), "other files"),
        (b'# Disk DescriptorFile\nRW 1 FLAT "/etc/shadow" 0\n', "other files"),
        (b"conectix" + bytes(52) + b"\0\0\0\4" + bytes(448), "another image"),
        (b"vhdxfile" + bytes(MIB), "cannot be imported"),
    ],
)
def test_info_when_it_is_no_image_then_is_refused_and_says_why(
    tmp_path: Path, content: bytes, why: str
) -> None:
    (tmp_path / "disk").write_bytes(content)
    with pytest.raises(BadInput, match=why) as refusal:
        image_info(tmp_path / "disk")
    assert refusal.value.advice


def test_info_when_there_is_no_file_or_it_is_none_then_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "loop", tmp_path / "none", Path("a\0b")):
        with pytest.raises(BadInput):
            image_info(path)


@pytest.mark.parametrize(
    ("content", "why", "advice"),
    [
        (bytes(0x8001) + b"CD001\1" + bytes(4 * MIB), "CD or DVD", "--from-domain"),
        (bytes(0x8001) + b"BEA01\1" + bytes(4 * MIB), "CD or DVD", "--from-domain"),
        (b"\x1f\x8b\x08" + bytes(4093), "gzip", "gunzip"),
        (b"\x04\x22\x4d\x18" + bytes(4092), "lz4", "lz4 -d"),
        (b"win10.ovf" + bytes(248) + b"ustar" + bytes(762), "OVA", "disk that is in it"),
        (b"<!DOCTYPE html>" + bytes(497), "web page", "again"),
        (b"\n <html><body>Sign in" + bytes(491), "web page", "again"),
        (b'<?xml version="1.0"?>\n<Envelope ovf:version="1">' + bytes(100), "OVF", "beside it"),
        (b"MSWIM\0\0\0" + bytes(504), "WIM", "Convert"),
        (b'# Disk DescriptorFile\nRW 1 SPARSE "disk-s001.vmdk"\n', "only describes", "convert"),
    ],
)
def test_info_when_it_is_another_thing_named_qcow2_then_says_what_it_is(
    tmp_path: Path, content: bytes, why: str, advice: str
) -> None:
    (tmp_path / "win10.qcow2").write_bytes(content)
    with pytest.raises(BadInput, match=why) as refusal:
        image_info(tmp_path / "win10.qcow2")
    assert advice in refusal.value.advice


def filled(path: Path, form: str, *options: str) -> Path:
    """An image with data in its first MiB and in its last."""
    created(path, form, *options)
    for at in (0, SIZE - MIB):
        write_image(path, at, DATA * 16, form)
    return path


def packed(path: Path) -> Path:
    """A qcow2 as projects publish them: compressed."""
    source = filled(path.with_name("source"), "qcow2")
    subprocess.run(["qemu-img", "convert", "-c", "-O", "qcow2", source, path], check=True)
    return path


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("qcow2", ()),
        ("qcow2", ("-o", "cluster_size=4k")),
        ("qcow2", ("-o", "extended_l2=on")),
        ("qcow2", ("-o", "compat=0.10")),
        ("vmdk", ()),
        ("vdi", ()),
        ("vhdx", ()),
        ("vpc", ()),
    ],
)
def test_info_when_the_end_of_a_download_is_missing_then_says_so(
    tmp_path: Path, form: str, options: tuple[str, ...]
) -> None:
    image = filled(tmp_path / "disk", form, *options)
    assert image_info(image).format == form
    whole = image.stat().st_size
    for share in (0.9, 0.5):
        os.truncate(image, int(whole * share) // 512 * 512)
        with pytest.raises(BadInput, match=r"cut off|damaged|after EOF") as refusal:
            image_info(image)
        assert "again" in refusal.value.advice


@pytest.mark.parametrize("left_out_bytes", [512, 64 * KIB])
def test_info_when_a_qcow2_lacks_less_than_a_cluster_or_one_then_as_qemu_reads_it(
    tmp_path: Path, left_out_bytes: int
) -> None:
    image = filled(tmp_path / "disk", "qcow2")
    os.truncate(image, image.stat().st_size - left_out_bytes)
    if left_out_bytes < 64 * KIB:
        assert image_info(image).format == "qcow2"
        return
    with pytest.raises(BadInput, match="cut off"):
        image_info(image)


def test_info_when_a_compressed_qcow2_is_cut_off_then_says_so(tmp_path: Path) -> None:
    source = tmp_path / "noise"
    source.write_bytes(os.urandom(SIZE))
    image = tmp_path / "disk"
    subprocess.run(["qemu-img", "convert", "-c", "-O", "qcow2", source, image], check=True)
    assert image_info(image).format == "qcow2"
    assert image_info(packed(tmp_path / "packed")).format == "qcow2"
    os.truncate(image, image.stat().st_size // 2)
    with pytest.raises(BadInput, match="cut off"):
        image_info(image)


def test_info_when_tables_of_a_qcow2_contradict_each_other_then_it_is_damaged(
    tmp_path: Path,
) -> None:
    image = filled(tmp_path / "disk", "qcow2")
    with image.open("r+b") as file:
        file.seek(2 * 64 * KIB)  # the first block of reference counts
        file.write(bytes(64))
    with pytest.raises(BadInput, match="damaged") as refusal:
        image_info(image)
    assert f"check -r all {image}" in refusal.value.advice


def partition(start: int, count: int, kind: int = 0x83) -> bytes:
    """An entry of an MBR."""
    return bytes((0x80, 0, 0, 0, kind, 0, 0, 0)) + struct.pack("<II", start, count)


@pytest.mark.parametrize(
    ("table", "is_whole"),
    [
        (partition(2048, 6144), True),
        (partition(2048, 6145), False),
        (partition(1, 2**32 - 1, 0xEE), True),  # the cover of a GPT, whose own end is not known
        (b"\x42" * 64, True),  # the boot code of a file system
        (bytes(64), True),
    ],
)
def test_info_when_partitions_of_a_raw_disk_go_beyond_its_end_then_it_is_cut_off(
    tmp_path: Path, table: bytes, is_whole: bool
) -> None:
    image = tmp_path / "disk"
    image.write_bytes(bytes(446) + table.ljust(64, b"\0") + b"\x55\xaa" + bytes(SIZE - 512))
    if is_whole:
        assert image_info(image).format == "raw"
        return
    with pytest.raises(BadInput, match="cut off"):
        image_info(image)


def test_info_when_a_raw_disk_lost_its_second_gpt_then_it_is_cut_off(tmp_path: Path) -> None:
    image = tmp_path / "disk"
    header = b"EFI PART" + bytes(24) + struct.pack("<Q", SIZE // 512 - 1)
    image.write_bytes((bytes(512) + header).ljust(SIZE, b"\0"))
    assert image_info(image).format == "raw"
    os.truncate(image, SIZE - 512)
    with pytest.raises(BadInput, match="cut off"):
        image_info(image)


@given(st.binary(max_size=600), st.sampled_from(["qcow2", "raw", "vdi", "vpc", "vmdk"]))
def test_checks_when_bytes_are_any_then_a_fault_or_none(data: bytes, form: str) -> None:
    for fault in (signature_fault(data), length_fault(form, data, len(data), data[-512:])):
        assert fault is None or (str(fault.why) and fault.hint)
    assert vhdx_end(lambda at, length: data[at % 200 :][:length]) >= 0


# what refers to other files


def test_info_when_qcow2_has_a_backing_file_then_is_refused_with_a_hint(tmp_path: Path) -> None:
    base = create_image(tmp_path / "base", SIZE)
    image = create_image(tmp_path / "disk", SIZE, "-b", str(base), "-F", "qcow2")
    with pytest.raises(BadInput, match="another image") as refusal:
        image_info(image)
    assert "qemu-img convert" in refusal.value.advice


def test_info_when_qcow2_has_its_data_in_another_file_then_is_refused(tmp_path: Path) -> None:
    image = create_image(tmp_path / "disk", SIZE, "-o", f"data_file={tmp_path / 'data'}")
    with pytest.raises(BadInput, match=r"in (an)?other file"):
        image_info(image)


def test_info_when_vmdk_has_a_parent_then_is_refused(tmp_path: Path) -> None:
    base = created(tmp_path / "base", "vmdk")
    image = created(tmp_path / "disk", "vmdk", "-b", str(base), "-F", "vmdk")
    with pytest.raises(BadInput, match="another image"):
        image_info(image)


def test_info_when_vmdk_is_a_descriptor_of_other_files_then_is_refused(tmp_path: Path) -> None:
    image = created(tmp_path / "disk.vmdk", "vmdk", "-o", "subformat=monolithicFlat")
    with pytest.raises(BadInput, match="other files"):
        image_info(image)


def test_info_when_a_machine_uses_the_image_then_is_refused_with_a_hint(tmp_path: Path) -> None:
    image = create_image(tmp_path / "disk", SIZE)
    with holding_image(image), pytest.raises(BadInput) as refusal:
        image_info(image)
    assert "shut" in refusal.value.advice


# copies


@pytest.mark.parametrize("form", ["qcow2", "raw", "vmdk", "vdi", "vhdx"])
def test_copied_when_into_a_new_volume_then_is_the_same_and_sparse(
    tmp_path: Path, form: str
) -> None:
    source = created(tmp_path / "source", form)
    write_image(source, MIB, DATA, form)
    target = create_image(tmp_path / "target", 2 * SIZE)
    seen: list[float] = []
    copy(source, form, target, "qcow2", target_is_zero=True, progress=seen.append)
    assert is_same_content(source, form, target, "qcow2")
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)
    assert target.stat().st_blocks * 512 < MIB
    write_image(target, 2 * MIB, DATA)
    assert not is_same_content(source, form, target, "qcow2")


def test_copied_when_target_held_something_then_nothing_of_it_is_left(tmp_path: Path) -> None:
    source = create_image(tmp_path / "source", MIB)
    write_image(source, 64 * KIB, DATA)
    old = tmp_path / "old"
    old.write_bytes(b"secret!!" * (2 * MIB // 8))
    with loop_device(old) as device:
        copy(source, "qcow2", device, "raw", target_is_zero=False, progress=quiet)
        assert is_same_content(source, "qcow2", device, "raw")
    assert old.read_bytes() == bytes(64 * KIB) + DATA + bytes(2 * MIB - 128 * KIB)


def test_copied_when_target_is_too_small_then_fails_in_qemu_img_words(tmp_path: Path) -> None:
    source = create_image(tmp_path / "source", SIZE)
    target = create_image(tmp_path / "target", SIZE // 2)
    with pytest.raises(StorageFault, match="smaller than input"):
        copy(source, "qcow2", target, "qcow2", target_is_zero=True, progress=quiet)


def test_copied_when_progress_raises_then_copy_is_stopped(tmp_path: Path) -> None:
    source = create_image(tmp_path / "source", SIZE)
    target = create_image(tmp_path / "target", SIZE)

    def refuse(_: float) -> None:
        raise BadInput("Enough.")

    with pytest.raises(BadInput, match="Enough"):
        copy(source, "qcow2", target, "qcow2", target_is_zero=True, progress=refuse)
    write_image(target, 0, DATA)  # nobody holds it any more


def test_compared_when_one_cannot_be_read_then_fails_in_words(tmp_path: Path) -> None:
    image = create_image(tmp_path / "disk", SIZE)
    with pytest.raises(StorageFault, match="No such file"):
        is_same_content(image, "qcow2", tmp_path / "none", "qcow2")
