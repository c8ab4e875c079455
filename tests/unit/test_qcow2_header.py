"""The qcow2 parser: agrees with qemu-img, and survives whatever a file holds."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pizarra.model.sizes import GIB, MIB, TIB
from pizarra.storage.qcow2.header import allocated_bytes, parse_header, read_header
from tests.contract.storage_qcow2 import create_image, qemu_io


@pytest.mark.parametrize("size_bytes", [512, MIB, 20 * GIB, 8 * TIB])
@pytest.mark.parametrize("options", ["", "compat=0.10", "cluster_size=2M", "cluster_size=4k"])
def test_header_when_made_by_qemu_img_then_says_the_same(
    tmp_path: Path, size_bytes: int, options: str
) -> None:
    base = create_image(tmp_path / "base", size_bytes)
    form = ("-o", options) if options else ()
    image = create_image(tmp_path / "disk", size_bytes, *form, "-b", str(base), "-F", "qcow2")
    argv = ["qemu-img", "info", "--output=json", str(image)]
    told = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
    header = read_header(image)
    assert header.size_bytes == told["virtual-size"]
    assert header.cluster_bytes == told["cluster-size"]
    assert (header.backing, header.backing_format) == (str(base), "qcow2")
    assert not (header.corrupt or header.data_file or header.extended_l2 or header.snapshots)
    assert allocated_bytes(image) == 0
    qemu_io("-f", "qcow2", "-c", "write 0 512", str(image))
    assert allocated_bytes(image) == header.cluster_bytes


def test_allocated_when_another_form_was_made_then_is_refused(tmp_path: Path) -> None:
    for options in ("extended_l2=on", f"data_file={tmp_path / 'data'}"):
        image = create_image(tmp_path / "disk", MIB, "-o", options)
        with pytest.raises(ValueError, match="not made here"):
            allocated_bytes(image)


def test_header_when_a_fifo_has_the_name_then_nobody_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "disk")
    with pytest.raises(ValueError, match="neither"):
        read_header(tmp_path / "disk")


@given(st.binary(max_size=300))
def test_header_when_bytes_are_any_then_only_value_error(data: bytes) -> None:
    for prefix in (b"", b"QFI\xfb\0\0\0\2", b"QFI\xfb\0\0\0\3"):
        try:
            parse_header(prefix + data)
        except ValueError:
            continue


@given(st.integers(0, 111), st.integers(0, 255))
def test_allocated_when_one_byte_of_the_header_is_damaged_then_only_value_error(
    whole_image: Path, offset: int, value: int
) -> None:
    data = bytearray(whole_image.read_bytes())
    data[offset] = value
    damaged = whole_image.with_name("damaged")
    damaged.write_bytes(data)
    try:
        assert allocated_bytes(damaged) >= 0
    except ValueError:
        return


@pytest.fixture(scope="module")
def whole_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = create_image(tmp_path_factory.mktemp("header") / "disk", MIB)
    qemu_io("-f", "qcow2", "-c", "write 0 512", str(image))
    return image
