"""What cannot be right is refused in words, and before anything is touched.

There is no libvirt here at all, so exit status 2 proves that nobody asked the host first (3 would
say that libvirt is missing). What depends on a host's state is in tests/lab/test_bad_input.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pizarra.errors import BadInput
from pizarra.model.names import check_name, parse_seat_numbers
from pizarra.model.sizes import GIB
from pizarra.service.apply import read_spec
from pizarra.settings import read_settings
from pizarra.system.text_files import read_text_file
from tests.fixtures.command import CommandResult, check_refused, pizarra

NAMES = (
    "a b", " net", "net\n", "../x", "..", ".", "/etc/passwd", "a/b", "ñandú", "net０", "١",
    "a;b", "$(reboot)", "`id`", "a|b", "a&b", "*", "</name>", "<name/>", "'", '"', "a'b",
    "{name}", "%s", "%n", "[bold]", "", "-", "net-", "-net", "net--x", "Net", "NET", "n.t", "n_t",
    "a" * 25, "a" * 5000, "7", "1-8", "--help me", "\x1b[31m", "\u202enet", "💥",
)  # fmt: skip
TAKE_A_CLASSROOM = (
    "start", "stop", "reset", "reset --dry-run", "verify", "verify --deep", "status",
    "classroom show", "classroom delete --yes", "classroom resize --seats 2",
    "classroom resize --disk 1G", "classroom create --template t --seats 1",
)  # fmt: skip
TAKE_A_TEMPLATE = ("template show", "template delete --yes", "template import --from-domain x")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where disks would go. Nothing is there afterwards."""
    disks = tmp_path / "disks"
    monkeypatch.setenv("PIZARRA_FOLDER", str(disks))
    monkeypatch.setenv("PIZARRA_LIBVIRT_URI", f"qemu+unix:///system?socket={tmp_path}/none")
    yield disks
    assert not disks.exists()


def told(said: CommandResult, word: str) -> None:
    """Refused as bad usage or input, and it says what was wrong."""
    check_refused(said, 2)
    assert said.out == ""
    assert word in said.err, said.err


@pytest.mark.parametrize("command", [*TAKE_A_CLASSROOM, *TAKE_A_TEMPLATE])
def test_name_when_it_cannot_be_one_then_exit_2_and_the_host_is_not_asked(command: str) -> None:
    for name in NAMES:
        told(pizarra(*command.split(), "--", name), "cannot be the name of a")


def test_name_of_a_template_when_it_cannot_be_one_then_exit_2() -> None:
    for name in NAMES:
        create = ("classroom", "create", "net", "--seats", "1", f"--template={name}")
        told(pizarra(*create), "cannot be the name of a template")


def test_name_when_it_looks_like_an_option_then_it_is_none() -> None:
    for name in ("-foo", "--yes-please", "-rf"):
        for command in TAKE_A_CLASSROOM:
            told(pizarra(*command.split(), name), "o such option")


@pytest.mark.parametrize("command", ["reset", "start", "stop", "verify", "status"])
def test_seats_when_they_are_no_numbers_then_exit_2(command: str) -> None:
    for seats in ("0", "8-1", "1-", "1,,2", "a", "1;2", "1-1001", "99999", "٣", "", " ", "1.5"):
        told(pizarra(command, "net", "--", seats), "is not a seat number")


@pytest.mark.parametrize(
    ("option", "word"),
    [
        ("--seats=0", "seats"),
        ("--seats=-3", "seats"),
        ("--seats=1001", "seats"),
        ("--seats=two", "--seats"),
        ("--seats=1e3", "--seats"),
        ("--vcpus=0", "vcpus"),
        ("--vcpus=9999999999999999999999", "vcpus"),
        ("--memory=lots", "lots"),
        ("--memory=0", "'0'"),
        ("--memory=-1G", "'-1G'"),
        ("--memory=1K", "memory"),
        ("--memory=9999999T", "memory"),
        ("--memory=2G</memory>", "is not a size"),
        ("--memory=nan", "'nan'"),
        ("--disk=-1", "is not a size"),
        ("--disk=1;2", "is not a size"),
        ("--network=bridge=</source>", "is not a network"),
        ("--network=bridge=br0 x", "is not a network"),
        ("--network=bridge=../../x", "is not a network"),
        ("--network=bridge=", "is not a network"),
        ("--network=bridge=-foo", "is not a network"),
        ("--network=natural", "is not a network"),
        ("--network=", "is not a network"),
        ("--storage=memory", "--storage"),
        ("--storage=lvm", "--storage"),
        ("--storage=", "--storage"),
    ],
)
def test_create_when_an_option_cannot_be_then_exit_2_and_it_is_named(
    option: str, word: str
) -> None:
    told(pizarra("classroom", "create", "net", "--template", "t", "--seats", "1", option), word)


def test_reset_when_start_and_off_then_exit_2() -> None:
    told(pizarra("reset", "net", "--start", "--off"), "contradict")


def test_resize_when_nothing_is_to_change_then_exit_2() -> None:
    told(pizarra("classroom", "resize", "net"), "Nothing is to be changed")


def test_import_when_no_source_or_two_then_exit_2(tmp_path: Path) -> None:
    told(pizarra("template", "import", "t"), "one source")
    told(pizarra("template", "import", "t", str(tmp_path), "--from-domain", "x"), "one source")


def test_import_when_the_source_is_no_image_then_exit_2(tmp_path: Path) -> None:
    text, gzip, empty = (tmp_path / name for name in ("a text.txt", "ñ.gz", "</empty>"[2:7]))
    text.write_text("this is a letter to the teacher\n" * 100)
    gzip.write_bytes(b"\x1f\x8b" + bytes(4094))
    empty.touch()
    backed = tmp_path / "backed.qcow2"
    backed.write_bytes(b"QFI\xfb" + (3).to_bytes(4, "big") + bytes(504))
    for source in (text, gzip, empty, tmp_path, tmp_path / "none", backed, Path("/dev/null")):
        told(pizarra("template", "import", "t", str(source)), "import")
    for name in ("nbd:localhost:1", "json:{}", "-foo", "/dev/stdin/x", "\udcff"):
        check_refused(pizarra("template", "import", "t", "--", name), 2)


def test_json_when_refused_then_one_document_and_the_words_on_stderr() -> None:
    for argv in (("reset", "--json", "--", "../x"), ("status", "--json", "net", "0")):
        said = check_refused(pizarra(*argv), 2)
        assert set(said.document["error"]) == {"code", "says", "hint"}
        assert said.document["error"]["code"] == "bad_input"
        assert said.document["error"]["says"] in said.err


def test_setting_when_it_cannot_be_then_exit_2_and_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad = {"AT_ONCE": "many", "GRACE_S": "-1", "POOL": "-foo", "VG": "../x"}
    for name, value in bad.items():
        with monkeypatch.context() as these:
            these.setenv(f"PIZARRA_{name}", value)
            told(pizarra("template", "list"), name.lower())


# ---- a classroom in YAML

GOOD = {"classroom": "net", "template": "debian", "seats": 2}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"seats": "twelve"}, "seats"),
        ({"seats": "2"}, "seats"),
        ({"seats": 2.5}, "seats"),
        ({"seats": True}, "seats"),
        ({"seats": None}, "seats"),
        ({"seats": [1, 2]}, "seats"),
        ({"seats": 0}, "seats"),
        ({"classroom": 7}, "classroom"),
        ({"classroom": ["net"]}, "classroom"),
        ({"classroom": "../x"}, "classroom"),
        ({"template": {"name": "x"}}, "template"),
        ({"template": "</name>"}, "template"),
        ({"memory": 2048}, "memory"),
        ({"memory": "-foo"}, "-foo"),
        ({"vcpus": "2"}, "vcpus"),
        ({"network": {"mode": "nat"}}, "network"),
        ({"network": "bridge=a;b"}, "network"),
        ({"storage": "zfs"}, "storage"),
        ({"vg": 1}, "vg"),
        ({"disk": 30}, "disk"),
        ({"sets": 3}, "sets"),
    ],
)
def test_apply_when_a_field_has_the_wrong_type_then_exit_2_and_it_is_named(
    change: dict[str, object], word: str, tmp_path: Path
) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(json.dumps(GOOD | change))  # JSON is YAML
    told(pizarra("classroom", "apply", "--yes", str(file)), word)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"[]", b"net", b"42", b"a: b: c", b"\t- x", b"&a [*a]", b"\xff\xfe\xfa", b"{",
        b"!!python/object/apply:os.system ['touch /tmp/owned']", b"seats: 2", b"? [1]\n: 2",
        b"classroom: net\nclassroom: [", b"x: " + b"[" * 5000, b"a" * 70000, b"1: 2", b"null: 1",
        b"!!timestamp 2000-99-99", b"a: 2000-99-99", b"a: !!timestamp x", b"a: !!bool maybe",
        b"a: !!int ''", b"? !!float ''\n: 1",
    ],
)  # fmt: skip
def test_apply_when_the_file_is_no_classroom_then_exit_2(text: bytes, tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_bytes(text)
    told(pizarra("classroom", "apply", "--yes", str(file)), str(file))


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("seats: 010", "'010'"),
        ("seats: 0x10", "'0x10'"),
        ("seats: 0b11", "'0b11'"),
        ("seats: 1_0", "'1_0'"),
        ("seats: 08", "seats"),
        ("minutes: 1:30", "'1:30'"),
        ("seats: 3\nseats: 4", "'seats' stands there twice"),
    ],
)
def test_apply_when_a_number_is_read_otherwise_than_it_looks_then_it_is_refused_with_its_line(
    line: str, word: str, tmp_path: Path
) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(f"classroom: net\ntemplate: debian\n{line}\n")
    said = pizarra("classroom", "apply", "--yes", str(file))
    told(said, word)
    assert word == "seats" or f"line {3 + line.count(chr(10))}" in said.err


def test_spec_when_the_file_has_a_byte_order_mark_then_it_is_no_part_of_the_text(
    tmp_path: Path,
) -> None:
    file = tmp_path / "net.yaml"
    lines = "\ufeffclassroom: net", "template: debian", "seats: 10", "memory: 2Gi", ""
    file.write_bytes("\r\n".join(lines).encode())
    spec = read_spec(file)
    assert (spec.name, spec.seats, spec.memory_bytes) == ("net", 10, 2 * GIB)


def test_password_file_when_it_has_a_byte_order_mark_then_it_is_no_part_of_the_password(
    tmp_path: Path,
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"\xef\xbb\xbfpizarra\r\n")
    assert read_text_file(file) == "pizarra\n"
    file.write_bytes("pizarra".encode("utf-16"))
    with pytest.raises(BadInput, match="not UTF-8"):
        read_text_file(file)


def test_settings_when_the_file_has_a_byte_order_mark_then_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pizarra.toml"
    monkeypatch.setattr("pizarra.settings.FILE", file)
    file.write_bytes(b'\xef\xbb\xbfvg = "vg9"\r\n')
    assert read_settings().vg == "vg9"
    file.write_bytes(b"vg = \xff")
    with pytest.raises(BadInput, match="cannot be read"):
        read_settings()


def test_apply_when_there_is_no_file_then_exit_2(tmp_path: Path) -> None:
    told(pizarra("classroom", "apply", str(tmp_path / "none")), "none")
    told(pizarra("classroom", "apply", str(tmp_path)), str(tmp_path))


@given(st.binary(max_size=200))
def test_spec_when_the_file_is_anything_then_bad_input_and_no_other_error(raw: bytes) -> None:
    file = Path(f"/dev/shm/pizarra-test-{os.getpid()}.yaml")
    file.write_bytes(raw)
    try:
        with pytest.raises(BadInput):
            read_spec(file)
    finally:
        file.unlink()


@given(st.text())
def test_name_when_it_is_any_text_then_it_is_good_or_bad_input(text: str) -> None:
    try:
        assert check_name(text, "classroom").isascii()
    except BadInput as error:
        assert str(error)
        assert error.advice


@given(st.text(alphabet="0123456789-, \n", max_size=12))
def test_seats_when_any_text_then_numbers_in_order_or_bad_input(text: str) -> None:
    try:
        numbers = parse_seat_numbers(text)
    except BadInput:
        return
    assert list(numbers) == sorted(set(numbers))
    assert numbers[0] >= 1
    assert numbers[-1] <= 1000


# ---- the real thing, once


def test_process_when_its_arguments_are_no_text_then_still_one_document(folder: Path) -> None:
    argv = [os.fsencode(sys.executable), b"-c", b"from pizarra.cli.main import run; run()"]
    wish = [b"template", b"import", b"--json", b"t", b"/no/\xff\n<such>"]
    done = subprocess.run([*argv, *wish], capture_output=True, env={**os.environ, "LC_ALL": "C"})
    assert (done.returncode, folder.exists()) == (2, False), done.stderr
    assert json.loads(done.stdout)["error"]["code"] == "bad_input"
    assert b"Traceback" not in done.stderr
