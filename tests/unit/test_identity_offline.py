"""Identities written to a disk: real ext4 file systems, made and looked at with e2fsprogs."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pizarra.engine.events import Event, Noted
from pizarra.errors import StorageFault
from pizarra.model.labels import FillingLabels
from pizarra.model.outcome import Outcome
from pizarra.planner import identity_files
from pizarra.planner.identity import Person
from pizarra.service import checkpoints, identity, upgrade
from pizarra.service.context import Context
from pizarra.storage.interface import NewVolume
from pizarra.storage.qcow2.raw import as_raw
from pizarra.system.ext_files import ExtFiles, NewFile, linux_root
from tests.unit.test_identity import Guests

MIB = 1 << 20
START = 1 * MIB
HASH = "$6$salt$hash"
OF_A_SYSTEM = {
    "etc/hostname": "golden\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 golden.school golden\n# \xe9cole\n",
    "etc/machine-id": "70697a617272610000000000000000aa\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nana:x:1000:1000:\xe9:/home/ana:/bin/bash\n",
    "etc/group": "root:x:0:\nana:x:1000:\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\nana:!:19000:0:99999:7:::\n",
    "etc/skel/.profile": "umask 022\n",
    "etc/ssh/ssh_host_ed25519_key": "old\n",
    "etc/ssh/ssh_host_ed25519_key.pub": "old\n",
    "var/lib/dbus/machine-id": "old\n",
    "home/ana/work": "hers\n",
}


def made(folder: Path, files: dict[str, str] = OF_A_SYSTEM, *, size_bytes: int = 8 * MIB) -> Path:
    """A disk of one partition with these files."""
    root, disk = folder / "root", folder / "disk.raw"
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("latin-1"))
    (root / "etc/shadow").chmod(0o640)
    with disk.open("wb") as file:
        file.truncate(size_bytes)
    command("sfdisk", "-q", str(disk), text=f"label: dos\nstart={START // 512},type=83\n")
    command("mke2fs", "-q", "-t", "ext4", "-d", str(root), "-E", f"offset={START}", str(disk),
            f"{(size_bytes - START) // 1024}k")  # fmt: skip
    command("debugfs", "-w", "-R", "sif /etc/shadow gid 42", f"{disk}?offset={START}")
    return disk


def command(*argv: str, text: str = "") -> str:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def guests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Guests:
    """A class of a template that is a real disk."""
    monkeypatch.setattr(identity, "_LOOK_EVERY_S", 0.01)
    guests = Guests()
    template_of(guests, made(tmp_path))
    return guests


def template_of(guests: Guests, disk: Path) -> None:
    golden = guests.context.host.observe().template("t").volumes[0]
    labels = replace(golden.labels, version=2)
    wish = NewVolume(labels=FillingLabels(becoming=labels), size_bytes=8 * MIB, name="t.v2.vda")
    draft = guests.storage.create_golden(wish)
    guests.storage.write(draft.name, 0, disk.read_bytes())
    guests.storage.seal_golden(draft, labels)
    upgrade.upgrade(guests.context, "net")
    assert guests.reset().exit_status == 0


def root_of(guests: Guests, number: int, folder: Path) -> ExtFiles:
    path = folder / f"seen-{number}.raw"
    name = f"net-{number:02d}.vda"
    path.write_bytes(guests.storage.read(name, 0, 8 * MIB))
    root = linux_root(path)
    assert root
    return root


def test_identify_when_there_is_nobody_to_ask_then_the_disk_says_who_it_is(
    guests: Guests, tmp_path: Path
) -> None:
    person = Person(user="student", password_hash=HASH)
    report = guests.identify([1, 2], person)
    assert [one.outcome for one in report.seats] == [Outcome.DONE] * 2, report
    guests.dirty(1, 2)
    guests.reset()
    roots = {number: root_of(guests, number, tmp_path) for number in (1, 2)}
    assert roots[1].read("/etc/hostname") == b"net-01\n"
    hosts = "127.0.0.1 localhost\n127.0.1.1 net-02.school net-02\n# \xe9cole\n"
    assert roots[2].read("/etc/hosts") == hosts.encode("latin-1")
    ids = {root.read("/etc/machine-id") for root in roots.values()}
    keys = {root.read("/etc/ssh/ssh_host_ed25519_key") for root in roots.values()}
    assert (len(ids), len(keys)) == (2, 2)
    assert b"old\n" not in keys
    for root in roots.values():
        assert not root.has("/var/lib/dbus/machine-id")
        assert not root.has("/etc/ssh/ssh_host_rsa_key")
        assert root.read("/home/ana/work") == b"hers\n"
        assert b"student:x:1001:1001::/home/student" in (root.read("/etc/passwd") or b"")
        assert f"student:{HASH}:".encode() in (root.read("/etc/shadow") or b"")
        assert root.read("/home/student/.profile") == b"umask 022\n"


def test_identify_when_a_key_is_new_then_it_is_a_pair_that_only_root_can_read(
    guests: Guests, tmp_path: Path
) -> None:
    guests.identify([1])
    root = root_of(guests, 1, tmp_path)
    key = tmp_path / "key"
    key.write_bytes(root.read("/etc/ssh/ssh_host_ed25519_key") or b"")
    key.chmod(0o600)
    public = (root.read("/etc/ssh/ssh_host_ed25519_key.pub") or b"").decode()
    assert command("ssh-keygen", "-y", "-f", str(key)).split()[:2] == public.split()[:2]


def test_shadow_when_written_then_keeps_its_mode_and_group(guests: Guests, tmp_path: Path) -> None:
    guests.identify([1], Person(user="student", password_hash=HASH))
    root_of(guests, 1, tmp_path)
    place = f"{tmp_path}/seen-1.raw?offset={START}"
    said = command("debugfs", "-R", "stat /etc/shadow", place)
    assert "Mode:  0640" in said
    assert "Group:    42" in said
    home = command("debugfs", "-R", "stat /home/student", place)
    assert "Mode:  0700" in home
    assert "User:  1001" in home


def test_hand_out_when_seats_have_identities_then_each_stays_itself_with_the_others_lesson(
    guests: Guests, tmp_path: Path
) -> None:
    guests.identify([1, 2])
    own = root_of(guests, 2, tmp_path).read("/etc/ssh/ssh_host_ed25519_key")
    first = guests.seat(1).volumes[0]
    with guests.storage.opening(first, raw=True, writable=True) as disk:
        teachers = linux_root(disk)
        assert teachers
        key = NewFile(data=b"the teacher's\n", mode=0o600)
        lesson = NewFile(data=b"lesson three\n")
        teachers.change({"/home/ana/lesson": lesson, "/etc/ssh/ssh_host_rsa_key": key})
    checkpoints.save(guests.context, "net", "lesson", [1])
    told: list[Event] = []
    context = Context(guests.context.host, told.append)
    report = checkpoints.hand_out(context, "net", "lesson", 1, [1, 2, 3])
    assert report.exit_status == 0
    roots = {number: root_of(guests, number, tmp_path) for number in (1, 2, 3)}
    assert {root.read("/home/ana/lesson") for root in roots.values()} == {b"lesson three\n"}
    names = [root.read("/etc/hostname") for root in roots.values()]
    assert names == [b"net-01\n", b"net-02\n", b"net-01\n"]  # the third never had one
    assert roots[2].read("/etc/ssh/ssh_host_ed25519_key") == own
    assert not roots[2].has("/etc/ssh/ssh_host_rsa_key")
    notes = [one.text.format(**one.facts) for one in told if isinstance(one, Noted)]
    assert "These have the name and keys of machine 1 now: net-03" in notes
    assert all(one.verified for one in guests.reset().seats)
    assert root_of(guests, 2, tmp_path).read("/home/ana/lesson") is None


@pytest.mark.parametrize("asked", ["usr/bin/cloud-init", "usr/sbin/qemu-ga"])
def test_identify_when_there_is_somebody_to_ask_then_it_boots_and_asks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: str
) -> None:
    monkeypatch.setattr(identity, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("pizarra.engine.power._LOOK_EVERY_S", 0.01)
    guests = Guests()
    template_of(guests, made(tmp_path, {**OF_A_SYSTEM, asked: "a program\n"}))
    assert guests.identify([1]).exit_status == 0
    assert "name='net-01'" in guests.scripts["net-01"]


def test_identify_when_it_has_no_shadow_then_says_so_and_the_seat_is_original(
    tmp_path: Path,
) -> None:
    disk = made(tmp_path)
    command("debugfs", "-w", "-R", "rm /etc/shadow", f"{disk}?offset={START}")
    guests = Guests()
    template_of(guests, disk)
    report = guests.identify([1], Person(user="student", password_hash=HASH))
    assert report.seats[0].outcome is Outcome.FAILED
    assert "/etc/shadow" in str(report.seats[0].reason)
    assert guests.reset().seats[0].verified


def test_root_when_a_file_system_is_broken_then_it_is_left_alone_and_said(tmp_path: Path) -> None:
    disk = made(tmp_path)
    root = linux_root(disk)
    assert root
    command("debugfs", "-w", "-R", "clri /home", f"{disk}?offset={START}")
    with disk.open("r+b") as file:  # "errors were found", so -p must look
        file.seek(START + 1024 + 58)
        file.write(b"\x02\x00")
    with pytest.raises(StorageFault, match="repair"):
        root.change({"/etc/hostname": NewFile(data=b"x\n")})
    assert root.read("/etc/hostname") == b"golden\n"


def test_file_when_a_guest_made_it_huge_then_it_is_not_read(tmp_path: Path) -> None:
    root = linux_root(made(tmp_path, {**OF_A_SYSTEM, "etc/hosts": "x" * (1 << 20) + "y"}))
    assert root
    with pytest.raises(StorageFault, match="too large"):
        root.read("/etc/hosts")


@pytest.mark.parametrize("content", [b"", b"nonsense" * 4096, bytes(64 * 1024)])
def test_root_when_there_is_none_then_none(tmp_path: Path, content: bytes) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(content)
    assert linux_root(disk) is None


def test_qcow2_when_written_as_raw_then_the_image_has_it_and_nobody_holds_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "seats").mkdir()
    disk, image = made(tmp_path), tmp_path / "templates" / "golden.qcow2"
    seat = tmp_path / "seats" / "a,b seat.qcow2"
    command("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(disk), str(image))
    command("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image), "-F", "qcow2", str(seat))
    with as_raw(seat, writable=True) as raw:
        root = linux_root(raw)
        assert root
        root.change({"/etc/hostname": NewFile(data=b"net-07\n")})
    assert json.loads(command("qemu-img", "check", "--output=json", str(seat)))["check-errors"] == 0
    with as_raw(seat) as raw:
        again = linux_root(raw)
        assert again
        assert again.read("/etc/hostname") == b"net-07\n"
    with as_raw(image) as raw:
        golden = linux_root(raw)
        assert golden
        assert golden.read("/etc/hostname") == b"golden\n"


@pytest.mark.parametrize(
    ("text", "old", "found"),
    [
        ("", "golden", "127.0.1.1 net-01\n"),
        ("127.0.1.1 golden", "", "127.0.1.1 golden\n127.0.1.1 net-01\n"),
        ("::1 golden golden.x not-golden goldener", "golden",
         "::1 net-01 net-01.x not-golden goldener"),
    ],
)  # fmt: skip
def test_hosts_when_the_name_changes_then_only_it_changes(text: str, old: str, found: str) -> None:
    assert identity_files.hosts(text, old, "net-01") == found


def test_user_when_there_then_only_the_password_changes() -> None:
    files = {"passwd": OF_A_SYSTEM["etc/passwd"], "shadow": OF_A_SYSTEM["etc/shadow"]}
    person = Person(user="ana", password_hash=HASH)
    assert identity_files.user_id(files["passwd"], "ana") == (1000, False)
    told = identity_files.accounts(files, person, 1000, 20_000)
    assert told["passwd"] == files["passwd"]
    assert told["shadow"].splitlines()[1] == f"ana:{HASH}:19000:0:99999:7:::"
