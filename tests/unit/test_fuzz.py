"""Whatever is parsed may be anything: it is understood, or refused with an error of ours."""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from pizarra.compute import domain_edit
from pizarra.compute.seat_metadata import SeatMetadata
from pizarra.engine.fitness import lvm_parsed
from pizarra.errors import BadInput, NotOurs, PizarraError, StorageFault
from pizarra.model.labels import Labels, labels_from_tags
from pizarra.model.names import parse_seat_name
from pizarra.model.sizes import parse_size
from pizarra.service.apply import read_spec
from pizarra.settings import Settings, read_settings
from pizarra.storage.dm_thin import metadata as thin_metadata
from pizarra.storage.dm_thin import pool as thin_pool
from pizarra.storage.lvm import report as lvm_report
from pizarra.storage.qcow2 import header as qcow2_header
from pizarra.storage.qcow2.sidecar import read_sidecar, sidecar_path
from tests.fixtures.command import pizarra

many = hypothesis(max_examples=150)
# a fixture that only sets the scene may be shared by all examples
scene = hypothesis(many, suppress_health_check=[HealthCheck.function_scoped_fixture])

# ---- a classroom in YAML

_FIELDS = ("classroom", "template", "seats", "version", "memory", "vcpus", "network", "storage",
           "vg", "disk")  # fmt: skip
_YAML_TAGS = ("!!int", "!!float", "!!bool", "!!timestamp", "!!binary", "!!set", "!!omap",
              "!!pairs", "!!null", "!!merge", "!!value", "!!str", "!x", "&a", "*a")  # fmt: skip
_SCALARS = st.one_of(
    st.text(max_size=8),
    st.integers().map(str),
    st.sampled_from(["", "net", "2G", "~", "=", "<<", "{}", "[]", "0x", "0b", "1:99", ".inf",
                     "2000-99-99", "- a", "? a", "'", '"', "|", ">", "%"]),
)  # fmt: skip
_TAGGED = st.builds("{} {}".format, st.sampled_from(_YAML_TAGS), _SCALARS)
_LINES = st.builds("{}: {}".format, st.one_of(st.sampled_from(_FIELDS), _TAGGED),
                   st.one_of(_SCALARS, _TAGGED))  # fmt: skip


@many
@given(st.lists(_LINES, max_size=6).map("\n".join))
def test_classroom_file_when_it_is_nearly_one_then_a_spec_or_bad_input(text: str) -> None:
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        Path(file.name).write_bytes(text.encode(errors="surrogatepass"))
        with suppress(BadInput):
            read_spec(Path(file.name))


# ---- the command line

_WORDS = st.sampled_from(
    ["start", "stop", "reset", "undo", "verify", "status", "inspect", "adopt", "recover",
     "classroom", "template", "checkpoint", "create", "apply", "list", "show", "resize", "delete",
     "save", "restore", "hand-out", "import", "net", "1-3", "--json", "--yes", "--help",
     "--dry-run", "--mode", "cold", "--seats", "--memory", "2G", "--vcpus", "--network", "nat",
     "--storage", "qcow2", "--vg", "--template", "--disk", "--start", "--off", "--"]
)  # fmt: skip


@pytest.fixture
def no_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No libvirt, and an empty folder of disks."""
    monkeypatch.setenv("PIZARRA_FOLDER", str(tmp_path / "disks"))
    monkeypatch.setenv("PIZARRA_LIBVIRT_URI", f"qemu+unix:///system?socket={tmp_path}/none")
    monkeypatch.chdir(tmp_path)
    yield


@scene
@given(st.lists(st.one_of(_WORDS, st.text(max_size=12)), min_size=1, max_size=8))
@pytest.mark.usefixtures("no_host")
def test_command_line_when_it_is_anything_then_no_traceback(argv: list[str]) -> None:
    said = pizarra(*(word.replace("\0", "") for word in argv))
    assert said.status in (0, 1, 2, 3, 4), said
    assert "Traceback" not in said.err


@many
@given(st.text(max_size=20))
def test_sizes_and_seats_when_any_text_then_bad_input(text: str) -> None:
    for parse in (parse_size, parse_seat_name):
        with suppress(BadInput):
            parse(text)


# ---- what LVM says

_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3),
                            st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=8,
)  # fmt: skip
_CELLS = st.one_of(
    st.sampled_from(["", "-1", "0", "1", "nan", "inf", "-inf", "1e400", "99.9", "thin", "s",
                     "pizarra.role=seat,pizarra.seat=x", "[x]", "owi-aotz--"]),
    st.text(max_size=8),
    _JSON,
)  # fmt: skip


def _rows(*fields: str) -> st.SearchStrategy[dict[str, object]]:
    names = [name for field in fields for name in field.split(",")]
    good = dict.fromkeys(names, "1")
    return st.dictionaries(st.sampled_from(names), _CELLS, max_size=3).map(
        lambda changed: good | changed
    )


_VG_ROWS = _rows(lvm_report.VG_FIELDS, lvm_parsed.VG_FIELDS)
_LV_ROWS = _rows(lvm_report.SEG_FIELDS, lvm_parsed.LV_FIELDS)
_GROUPS = st.fixed_dictionaries(
    {"vg": st.lists(_VG_ROWS, max_size=2), "seg": st.lists(_LV_ROWS, max_size=3)}
)
_REPORTS = st.one_of(_JSON, st.fixed_dictionaries({"report": st.lists(_GROUPS, max_size=2)}))


@many
@given(_REPORTS.map(json.dumps))
def test_lvm_report_when_it_is_nearly_one_then_facts_or_a_storage_fault(text: str) -> None:
    with suppress(StorageFault):
        lvm_report.facts(lvm_report.parse_groups(text))
    with suppress(StorageFault):
        lvm_parsed.parse_groups(text, "pizarra", lambda _: 70)
    lvm_parsed.parse_version(text)
    lvm_parsed.parse_settings(text)


_KEYS = st.sampled_from([*Labels.__slots__, "x", ""])
_TAGS = st.builds("pizarra.{}={}".format, _KEYS, st.one_of(_CELLS, st.integers()))


@many
@given(st.lists(st.one_of(_TAGS, st.text(max_size=8)), max_size=5))
def test_tags_when_any_then_labels_or_not_ours(tags: list[str]) -> None:
    with suppress(NotOurs):
        labels = labels_from_tags(tags)
        assert labels is None or labels_from_tags(labels.to_tags()) == labels


@many
@given(st.one_of(st.binary(max_size=60), _JSON.map(lambda raw: json.dumps(raw).encode())))
def test_sidecar_when_it_is_anything_then_one_or_not_ours(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "net-01.qcow2"
        sidecar_path(image).write_bytes(raw)
        with suppress(NotOurs):
            read_sidecar(image)


# ---- XML of a domain, and of thin_delta

_TAGNAMES = st.sampled_from(["domain", "name", "uuid", "metadata", "devices", "disk", "source",
                             "target", "driver", "memory", "vcpu", "os", "loader", "x"]
)  # fmt: skip
_ATTRIBUTES = st.dictionaries(
    st.sampled_from(["type", "dev", "file", "unit", "device", "firmware"]),
    st.sampled_from(["", "vda", "block", "efi", "KiB", "disk", "pflash", "²"]),
    max_size=2,
)


def _node(tag: str, attributes: dict[str, str], inner: list[str]) -> str:
    told = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<{tag}{told}>{''.join(inner)}</{tag}>"


_XML = st.recursive(
    st.sampled_from(["", " ", "1", "٣", "²", "<!-- a -->", "<?x y?>", "&amp;", "&bad;",
                     "<name>n</name>", "<vcpu>²</vcpu>", "<target dev='vda'/>", "<"]),
    lambda inner: st.builds(_node, _TAGNAMES, _ATTRIBUTES, st.lists(inner, max_size=4)),
    max_leaves=14,
)  # fmt: skip
_DOMAINS = st.one_of(
    st.text(max_size=10), st.lists(_XML, max_size=5).map(lambda inner: _node("domain", {}, inner))
)
_SEAT = SeatMetadata(classroom="net", number=1, template="t", version=1)
_READS: tuple[Callable[[str], object], ...] = (
    domain_edit.disks_of,
    domain_edit.firmware_of,
    domain_edit.seat_of,
    domain_edit.resources_of,
    domain_edit.remove_seat_metadata,
    lambda xml: domain_edit.add_seat_metadata(xml, _SEAT),
    lambda xml: domain_edit.replace_disk_source(xml, "vda", Path("/dev/vg/x")),
)


@many
@given(_DOMAINS)
def test_domain_when_it_is_nearly_one_then_read_or_bad_input(xml: str) -> None:
    for read in _READS:
        with suppress(BadInput):
            read(xml)


@many
@given(st.one_of(st.text(max_size=10), _XML))
def test_thin_delta_when_it_says_anything_then_a_storage_fault(xml: str) -> None:
    with suppress(StorageFault):
        thin_pool.parse_delta(xml)


# ---- blocks

_SMALL = st.integers(0, 5)
_WIDE = st.one_of(_SMALL, st.integers(0, 2**32 - 1))


def _thin_node(
    flags: int, place: int, count: int, most: int, width: int, values: list[int]
) -> bytes:
    head = struct.pack("<II Q IIII", 0, flags, place, count, most, width, 0)
    return (head + struct.pack(f"<{len(values)}Q", *values)).ljust(4096, b"\0")


_THIN_NODES = st.builds(_thin_node, st.one_of(st.sampled_from([1, 2]), _WIDE), _SMALL, _WIDE, _WIDE,
                        st.sampled_from([8, 8, 8, 24]), st.lists(_SMALL, max_size=12))  # fmt: skip


@many
@given(st.lists(_THIN_NODES, min_size=6, max_size=6), st.booleans())
def test_thin_metadata_when_blocks_are_anything_then_a_storage_fault(
    blocks: list[bytes], in_place: bool
) -> None:
    if in_place:
        blocks = [
            raw[:8] + struct.pack("<Q", number) + raw[16:] for number, raw in enumerate(blocks)
        ]

    def read(block: int) -> bytes:
        return blocks[block % len(blocks)]

    looks = (
        lambda r, b: thin_metadata.devices(r, thin_metadata.Superblock(b, b, 65536)),
        lambda r, b: thin_metadata.devices(r, thin_metadata.Superblock(1, b, 65536)),
        lambda r, b: thin_metadata.blocks_changed(r, b, 1),
    )
    for look in looks:
        with suppress(StorageFault):
            look(read, 0)


@many
@given(st.binary(max_size=200).map(lambda raw: raw.ljust(4096, b"\0")))
def test_superblock_when_it_is_anything_then_a_storage_fault(raw: bytes) -> None:
    for block in (raw, raw[:32] + struct.pack("<QI", 27022010, 2) + raw[44:]):
        with suppress(StorageFault):
            thin_metadata.parse_superblock(block)


_HEADERS = st.builds(
    lambda numbers, rest: struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", *numbers) + rest,
    st.tuples(st.sampled_from([2, 3, 3]), _WIDE, _WIDE, st.integers(8, 22), _WIDE, _SMALL, _WIDE,
              st.sampled_from([0, 104, 512, 1024, 2**63]), _WIDE, _SMALL, _SMALL, _WIDE),
    st.binary(max_size=1200),
)  # fmt: skip


@many
@given(st.one_of(st.binary(max_size=120), _HEADERS))
def test_qcow2_when_it_is_anything_then_a_value_error(raw: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(raw)
        for read in (qcow2_header.read_header, qcow2_header.allocated_bytes):
            with suppress(ValueError):
                read(Path(file.name))


# ---- settings

_SETTINGS = st.dictionaries(
    st.sampled_from([name.upper() for name in Settings.model_fields]),
    st.one_of(_CELLS.map(str), st.sampled_from(["[", "{", "[1]", "1e999", "/", "\\"])),
    max_size=3,
)


@scene
@given(_SETTINGS)
@pytest.mark.usefixtures("no_host")
def test_settings_when_they_are_anything_then_bad_input(said: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as these:
        for name, value in said.items():
            text = value.replace("\0", "").encode(errors="replace").decode()
            these.setenv(f"PIZARRA_{name}", text)
        with suppress(PizarraError):
            read_settings()
