"""A real host refuses what it cannot do, with a message, and leaves nothing half-made.

Names, options and files that are wrong on any host are in tests/unit/test_bad_input.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pizarra.compute.network_xml import network_name
from pizarra.model.facts import StorageKind
from pizarra.model.labels import Role
from pizarra.model.sizes import MIB, TIB
from pizarra.service.context import Context
from pizarra.storage.kinds import Kind
from tests.contract.compute_bench import FOREIGN, FOREIGN_NETWORK
from tests.contract.storage_lvm import VG, lvm
from tests.fixtures.command import CommandResult, check_refused, pizarra
from tests.fixtures.host_state import host_state
from tests.lab.conftest import command
from tests.lab.foreign import NAMESAKE
from tests.lab.school import School

THEIRS = "c0ffee00-0000-4000-8000-0000000000f0"
on_thin = pytest.mark.parametrize("kind", [Kind.LVM_THIN], indirect=True, scope="session")


def create(name: str, *options: str, seats: int = 4, template: str = "boot") -> CommandResult:
    wish = ("--template", template, "--seats", str(seats), "--memory", "16M", *options)
    return pizarra("classroom", "create", name, *wish)


def says(said: CommandResult, status: int, word: str) -> None:
    assert word in check_refused(said, status).err, said.err


# ---- things that are not there, or there already


@on_thin
@pytest.mark.usefixtures("unharmed")
def test_commands_when_what_they_name_is_not_there_then_exit_2_and_a_hint() -> None:
    for verb in ("start", "stop", "reset", "verify", "status"):
        says(pizarra(verb, "none"), 2, "There is: life.")
        says(pizarra(verb, "life", "2,9"), 2, "no seat 9")
    for wish in (["show"], ["delete", "--yes"], ["resize", "--seats", "2"]):
        says(pizarra("classroom", *wish, "none"), 2, "There is: life.")
    for wish in (["show"], ["delete", "--yes"]):
        says(pizarra("template", *wish, "none"), 2, "template list")
    says(create("new", template="none"), 2, "template list")
    says(create("new", "--vg", "../x"), 2, "vg_class")
    says(create("new", "--storage", "qcow2"), 2, "vg_class")
    says(pizarra("template", "import", "t", "--from-domain", "../x"), 2, "virsh list")
    says(pizarra("template", "import", "t", "--from-domain", "theirs"), 2, "virsh shutdown")


@on_thin
def test_commands_when_what_they_make_is_there_then_exit_2_and_it_stays(
    unharmed: School, bootsector: Path
) -> None:
    says(create("life"), 2, "classroom resize")
    where = ("--storage", unharmed.kind, "--vg", VG)
    said = pizarra("template", "import", "boot", str(bootsector), *where)
    says(said, 2, "--new-version")
    says(pizarra("template", "delete", "boot", "--yes"), 2, "stand on the template")


@on_thin
@pytest.mark.usefixtures("unharmed")
def test_delete_when_nobody_can_be_asked_then_it_wants_yes_and_does_nothing() -> None:
    says(pizarra("classroom", "delete", "life"), 2, "--yes")
    says(pizarra("template", "delete", "boot"), 2, "--yes")
    says(pizarra("classroom", "resize", "life", "--seats", "1"), 2, "--yes")


# ---- a host that cannot


@on_thin
@pytest.mark.usefixtures("unharmed")
def test_import_when_the_volume_group_is_not_there_then_exit_3_and_those_there_are(
    bootsector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for vg in ("none", "../x", "a b", "-foo", "</name>"):
        said = pizarra("template", "import", "t", str(bootsector), f"--vg={vg}")
        says(said, 3, f"There is: {VG}.")
    monkeypatch.setenv("PIZARRA_VG", "gone")
    says(pizarra("template", "import", "t", str(bootsector)), 3, f"There is: {VG}.")


@pytest.mark.usefixtures("unharmed")
def test_import_when_larger_than_all_the_storage_then_exit_3_and_both_sizes(
    kind: StorageKind, tmp_path: Path
) -> None:
    huge = tmp_path / "huge.img"
    with huge.open("wb") as file:
        file.truncate(2 * TIB)
    said = pizarra("template", "import", "t", str(huge), "--storage", kind, "--vg", VG)
    says(said, 3, "has 2 TiB; all of vg_class has only")


@on_thin
@pytest.mark.usefixtures("unharmed")
def test_import_when_the_source_is_no_image_then_exit_2(tmp_path: Path) -> None:
    letter = tmp_path / "a letter.txt"
    letter.write_text("Dear teacher,\n" * 1000)
    for source in (letter, tmp_path, tmp_path / "none", Path("/dev/null")):
        says(pizarra("template", "import", "t", str(source)), 2, str(source))


@pytest.fixture
def full(unharmed: School) -> Iterator[School]:
    """Nothing more fits: the group has no free extent, and the pool in use is tiny and full."""
    with pytest.MonkeyPatch.context() as these:
        if unharmed.kind is Kind.LVM_THIN:
            these.setenv("PIZARRA_POOL", "tiny")
            lvm("lvcreate", "-y", "--type", "thin-pool", "-L", "8m", "-n", "tiny", VG)
            lvm("lvcreate", "-y", "-Wn", "-T", "-V", "8m", "-n", "used", f"{VG}/tiny")
            command("dd", "if=/dev/urandom", f"of=/dev/{VG}/used", "bs=1M", "count=7",
                    "oflag=direct", "status=none")  # fmt: skip
        lvm("lvcreate", "-y", "-Wn", "-l", "100%FREE", "-n", "filler", VG)
        yield unharmed
    lvm("lvremove", "-ff", "-y", f"{VG}/filler")
    if unharmed.kind is Kind.LVM_THIN:
        lvm("lvremove", "-ff", "-y", f"{VG}/tiny")


def test_import_when_the_storage_is_full_then_exit_3_and_nothing_is_left(
    full: School, bootsector: Path
) -> None:
    before = host_state(full.context.host)
    where = ("--storage", full.kind, "--vg", VG)
    says(pizarra("template", "import", "t", str(bootsector), *where), 3, "free")
    assert host_state(full.context.host) == before


def test_create_when_the_group_is_full_then_exit_3_only_where_seats_take_extents(
    full: School,
) -> None:
    before = host_state(full.context.host)
    said = create("new", "--storage", full.kind, seats=1)
    if full.kind is Kind.LVM_THICK:
        says(said, 3, "free")
    else:  # seats of the template's own pool, which has room
        assert said.status == 0, said.err
        assert pizarra("classroom", "delete", "new", "--yes").status == 0
    assert host_state(full.context.host) == before


# ---- it fails in the middle


@pytest.fixture
def set_aside(unharmed: School, tmp_path: Path) -> Iterator[School]:
    """A group with room for two and a half stores.

    A second disk of the group may not be used, but counts as free. So LVM refuses the third seat
    after it made two.
    """
    image = tmp_path / "aside.img"
    with image.open("wb") as file:
        file.truncate(512 * MIB)
    loop = command("losetup", "--find", "--show", image).strip()
    free = int(float(lvm("vgs", "--noheadings", "--units", "m", "--nosuffix", "-o", "vg_free", VG)))
    lvm("lvcreate", "-y", "-Wn", "-L", f"{free - 160}m", "-n", "filler", VG)
    lvm("vgextend", "-y", VG, loop)
    lvm("pvchange", "-xn", loop)
    yield unharmed
    lvm("vgreduce", VG, loop)
    lvm("pvremove", loop)
    lvm("lvremove", "-ff", "-y", f"{VG}/filler")
    command("losetup", "-d", loop)


@pytest.mark.parametrize("kind", [Kind.LVM_THICK], indirect=True, scope="session")
def test_create_when_room_ends_after_two_seats_then_exit_3_and_those_go_too(
    set_aside: School,
) -> None:
    before = host_state(set_aside.context.host)
    says(create("new", "--storage", "lvm-thick"), 3, "no room")
    assert host_state(set_aside.context.host) == before


@on_thin
def test_create_when_a_machine_of_others_has_a_name_of_it_then_nothing_is_left(
    unharmed: School, kind: StorageKind, tmp_path: Path
) -> None:
    put("define", FOREIGN.format(name="new-03", uuid=THEIRS), tmp_path)
    before = host_state(unharmed.context.host)
    check_refused(create("new", "--storage", kind), 2)
    assert host_state(unharmed.context.host) == before
    command("virsh", "-q", "undefine", "new-03")


@on_thin
def test_create_when_a_network_of_others_has_its_name_then_nothing_is_left(
    unharmed: School, tmp_path: Path
) -> None:
    name = network_name("new")
    put("net-define", FOREIGN_NETWORK.format(name=name, uuid=THEIRS, bridge="theirs1"), tmp_path)
    before = host_state(unharmed.context.host)
    says(create("new", "--storage", "lvm-thin"), 2, "net-undefine")
    assert host_state(unharmed.context.host) == before
    command("virsh", "-q", "net-undefine", name)


def put(verb: str, xml: str, folder: Path) -> None:
    file = folder / "put.xml"
    file.write_text(xml)
    command("virsh", "-q", verb, file)


@on_thin
@pytest.mark.usefixtures("unharmed")
def test_create_when_a_volume_of_others_has_a_name_of_it_then_exit_2() -> None:
    says(create("fake"), 2, NAMESAKE)


@on_thin
def test_import_when_it_breaks_while_copying_then_nothing_is_left(
    unharmed: School, tmp_path: Path
) -> None:
    """The image is a qcow2 with a size and without its data."""
    broken = tmp_path / "broken.qcow2"
    command("qemu-img", "create", "-q", "-f", "qcow2", broken, "64M")
    command("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 16M", broken)
    with broken.open("r+b") as file:
        file.seek(0x40000)
        file.write(b"\xff" * 512)  # the table of the data's places
    said = pizarra("template", "import", "t", str(broken), "--storage", unharmed.kind)
    assert said.status in (1, 2), said
    assert "Traceback" not in said.err
    assert not filling_volumes(unharmed.context)


def filling_volumes(context: Context) -> list[str]:
    facts = context.host.observe()
    return [v.name for v in facts.volumes.values() if v.labels and v.labels.role is Role.FILLING]
