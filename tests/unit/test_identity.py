"""classroom identify, over the memory drivers: an original of its own for each machine."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pizarra.engine.events import Event, Noted
from pizarra.errors import BadInput, ComputeFault
from pizarra.model.facts import Power, Seat, labelled
from pizarra.model.labels import IDENTITY, CheckpointLabels, FillingLabels
from pizarra.model.names import seat_uuid
from pizarra.model.outcome import Mode, Outcome, Report
from pizarra.model.policy import After
from pizarra.planner import identity as planner
from pizarra.planner.checkpoints import checkpoints as saved_states
from pizarra.planner.identity import Person
from pizarra.service import checkpoints, classrooms, identity, recover, upgrade, verbs
from pizarra.service.context import Context
from pizarra.service.undo import undo
from pizarra.service.warm import warm
from pizarra.storage.interface import NewVolume
from pizarra.system import seed
from pizarra.system.process import run
from tests.fixtures.kills import dies_before_text
from tests.unit.test_reset import School

NAMES = {seat_uuid("net", number): f"net-{number:02d}" for number in range(1, 6)}


class Guests(School):
    """Machines without cloud-init: their agents run what they are given, and write to the disk."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: dict[str, str] = {}
        self.refusing: set[str] = set()
        self.compute.program = self.ran

    def ran(self, uuid: str, script: str) -> int:
        if "command -v cloud-init" in script:
            return 1
        name = NAMES[uuid]
        self.scripts[name] = script
        self.storage.write(f"{name}.vda", 0, f"i am {name}".encode())
        return 3 if name in self.refusing else 0

    def who(self, number: int) -> bytes:
        return self.storage.read(f"net-{number:02d}.vda", 0, 11)

    def seat(self, number: int) -> Seat:
        return self.context.host.observe().classroom("net").seats[number - 1]

    def identify(self, numbers: list[int], person: Person | None = None) -> Report:
        return identity.identify(self.context, "net", numbers, person=person, limit_s=20)

    def machine_xml(self, number: int) -> str:
        return self.compute.xml(seat_uuid("net", number))


@pytest.fixture
def guests(monkeypatch: pytest.MonkeyPatch) -> Guests:
    monkeypatch.setattr(identity, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("pizarra.engine.power._LOOK_EVERY_S", 0.01)
    return Guests()


def test_identify_when_guests_have_an_agent_then_every_reset_brings_their_names_back(
    guests: Guests,
) -> None:
    verbs.start(guests.context, "net", [1])
    report = guests.identify([1, 2])
    assert [one.outcome for one in report.seats] == [Outcome.DONE] * 2, report
    assert "name='net-01'" in guests.scripts["net-01"]
    assert f"id='{seat_uuid('net', 2).replace('-', '')}'" in guests.scripts["net-02"]
    assert [guests.power(n) for n in (1, 2)] == [Power.RUNNING, Power.OFF]  # as found
    guests.dirty(1, 2, 3)
    report = guests.reset()
    assert all(one.verified for one in report.seats)
    assert [guests.who(n) for n in (1, 2)] == [b"i am net-01", b"i am net-02"]
    assert guests.content(3) == b"original"


def test_identify_when_there_was_work_then_an_undo_has_it(guests: Guests) -> None:
    guests.dirty(1)
    guests.identify([1])
    assert undo(guests.context, "net", [1]).exit_status == 0
    assert guests.content(1) == b"a studen"
    guests.reset()
    assert guests.who(1) == b"i am net-01"


def test_identify_when_twice_then_begins_at_the_template(guests: Guests) -> None:
    guests.identify([1])
    seen: list[bytes] = []

    def looked(uuid: str, script: str) -> int:
        seen.append(guests.content(1))
        return guests.ran(uuid, script)

    guests.compute.program = looked
    assert guests.identify([1]).exit_status == 0
    assert seen[0] == b"original"
    volumes = guests.context.host.observe().volumes.values()
    assert [one.name for one in saved_states(volumes, "net")] == [IDENTITY]


def test_identify_when_one_guest_refuses_then_it_is_original_and_the_other_is_done(
    guests: Guests,
) -> None:
    guests.refusing.add("net-01")
    report = guests.identify([1, 2])
    assert [one.outcome for one in report.seats] == [Outcome.FAILED, Outcome.DONE]
    assert "refused" in str(report.seats[0].reason)
    assert guests.content(1) == b"original"
    assert (guests.power(1), guests.seat(1).identity) == (Power.OFF, None)
    assert verbs.verify(guests.context, "net", None).exit_status == 0


def test_identify_when_nobody_answers_then_says_what_a_template_needs(guests: Guests) -> None:
    guests.compute.deaf.add(seat_uuid("net", 1))
    report = identity.identify(guests.context, "net", [1], limit_s=0.05)
    assert report.seats[0].outcome is Outcome.FAILED
    assert "cloud-init" in str(report.seats[0].reason)
    assert guests.power(1) is Power.OFF
    assert "vdz" not in guests.machine_xml(1)
    assert not list(guests.context.host.settings.seed_folder.iterdir())


def test_identify_when_cloud_init_is_there_then_what_it_says_counts(guests: Guests) -> None:
    def has_it(uuid: str, script: str) -> int:
        assert "command -v cloud-init" in script  # nothing else is asked of its agent
        assert "vdz" in guests.compute.xml(uuid)
        path = seed.seed_path(guests.context.host.settings.seed_folder, uuid)
        if uuid == seat_uuid("net", 1):
            said = json.dumps({"v1": {"errors": []}})
            run(["mcopy", "-i", str(path), "-", f"::{planner.RESULT}"], input_text=said)
        told = seed.read_seed(path, "meta-data")
        assert told is not None
        assert json.loads(told)["local-hostname"] == NAMES[uuid]
        guests.storage.write(f"{NAMES[uuid]}.vda", 0, b"by cloud-init")
        guests.compute.kill(uuid)
        return 0

    guests.compute.program = has_it
    report = guests.identify([1, 2])
    assert [one.outcome for one in report.seats] == [Outcome.DONE, Outcome.FAILED]
    assert "before cloud-init had ended" in str(report.seats[1].reason)
    guests.dirty(1, 2)
    guests.reset()
    assert (guests.content(1), guests.content(2)) == (b"by cloud", b"original")


def test_user_data_when_there_is_a_user_then_has_the_hash_and_not_the_password(
    guests: Guests,
) -> None:
    person = Person(user="student", password_hash=identity.password_hash("s3cret'; rm -rf /"))
    said = planner.user_data(guests.seat(1), person)
    assert said.startswith("#cloud-config\n")
    assert json.loads(said.partition("\n")[2])["users"][1]["hashed_passwd"].startswith("$6$")
    assert "s3cret" not in said + planner.agent_script(guests.seat(1), person)


@pytest.mark.parametrize("user", ["root", "-x", "a b", "A", "é", "x" * 33, "a;b", "a'b"])
def test_person_when_the_name_is_none_then_refused(user: str) -> None:
    with pytest.raises(BadInput):
        Person(user=user, password_hash="$6$x")


def test_person_when_user_or_password_is_missing_then_refused() -> None:
    with pytest.raises(BadInput):
        Person(user="student")
    with pytest.raises(BadInput):
        identity.password_hash("")


def test_upgrade_when_seats_have_identities_then_they_go_to_the_new_version(
    guests: Guests,
) -> None:
    guests.identify([1])
    golden = guests.context.host.observe().template("t").volumes[0]
    labels = golden.labels
    new = replace(labels, version=2)
    filling = FillingLabels(becoming=new)
    wish = NewVolume(labels=filling, size_bytes=golden.size_bytes, name="t.v2.vda")
    draft = guests.storage.create_golden(wish)
    guests.storage.write(draft.name, 0, b"version2")
    guests.storage.seal_golden(draft, new)
    assert upgrade.upgrade(guests.context, "net", [1]).exit_status == 0
    guests.reset([1])
    assert guests.content(1) == b"version2"
    upgrade.upgrade(guests.context, "net", [1], version=1)
    guests.reset([1])
    assert guests.who(1) == b"i am net-01"


def test_warm_when_older_than_the_identity_then_starts_cold(guests: Guests) -> None:
    warm(guests.context, "net", [1], settle_s=0.01)
    guests.identify([1])
    facts = guests.context.host.observe()
    saved = labelled(facts.volumes.values(), CheckpointLabels)
    (mine,) = [volume for volume in saved if volume.labels.checkpoint == IDENTITY]
    guests.context.host.set_labels({mine: replace(mine.labels, saved_at=mine.labels.saved_at + 5)})
    report = verbs.reset(guests.context, "net", [1], mode=Mode.WARM, after=After.RUNNING)
    assert "older than its identity" in str(report.seats[0].reason)
    assert guests.who(1) == b"i am net-01"


def test_save_when_the_name_is_the_identitys_then_refused(guests: Guests) -> None:
    with pytest.raises(BadInput):
        checkpoints.save(guests.context, "net", IDENTITY)


def test_delete_when_it_is_the_identity_then_seats_go_back_to_the_template(guests: Guests) -> None:
    guests.identify([1])
    checkpoints.delete(guests.context, "net", IDENTITY)
    guests.reset()
    assert guests.content(1) == b"original"


@pytest.mark.parametrize("where", ["memory start", "memory kill"])
def test_recover_when_it_was_cut_off_then_no_seed_is_left_and_the_seat_is_original(
    guests: Guests, where: str
) -> None:
    assert dies_before_text(where, lambda: guests.identify([1]))
    guests.dirty(1)
    assert "vdz" in guests.machine_xml(1)
    for _ in range(2):
        recover.recover(guests.context)
        assert "vdz" not in guests.machine_xml(1)
        assert (guests.power(1), guests.content(1)) == (Power.OFF, b"original")
    assert not list(guests.context.host.settings.seed_folder.iterdir())


@pytest.mark.parametrize("where", ["memory start", "memory kill", "memory change"])
def test_start_when_giving_an_identity_was_killed_then_the_machine_is_taken_back_first(
    guests: Guests, where: str
) -> None:
    """Killed when its machine was to start, to go off, or to be saved as it was then."""
    assert dies_before_text(where, lambda: guests.identify([1]))
    guests.dirty(1)
    assert verbs.start(guests.context, "net", [1]).exit_status == 0
    assert "vdz" not in guests.machine_xml(1)
    assert guests.content(1) == b"original"
    assert not list(guests.context.host.journal.folder.iterdir())


def test_system_when_it_is_windows_then_says_sysprep(guests: Guests) -> None:
    def windows(uuid: str, command: dict[str, object], timeout_s: float = 5) -> dict[str, object]:
        assert (uuid, timeout_s) != ("", 0)
        return {"return": {"id": "mswindows"} if command["execute"] == "guest-get-osinfo" else {}}

    guests.compute.agent = windows  # type: ignore[method-assign, assignment]
    report = guests.identify([1])
    assert "sysprep" in str(report.seats[0].reason)
    assert guests.content(1) == b"original"


def test_fault_when_libvirt_refuses_then_the_others_go_on(guests: Guests) -> None:
    guests.compute.fail_at("start", seat_uuid("net", 1), ComputeFault("no memory"))
    report = guests.identify([1, 2])
    assert [one.outcome for one in report.seats] == [Outcome.FAILED, Outcome.DONE]


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ('{"v1": {"errors": []}}', None),
        ('{"v1": {"errors": ["(\'locale\', ProcessExecutionError(1))"]}}', None),
        ('{"v1": {"errors": ["(\'users-groups\', OSError(1))"]}}', "users-groups"),
        ('{"v1": {"errors": ["no disk space"]}}', "no disk space"),
        ('{"v1": {}}', "cannot be read"),
        ("[]", "cannot be read"),
        ("nonsense", "cannot be read"),
        (None, "before cloud-init had ended"),
    ],
)
def test_cloud_init_when_it_says_how_it_went_then_only_the_identity_counts(
    said: str | None, wrong: str | None
) -> None:
    found = planner.cloud_init_failure(said)
    assert (found is None) if wrong is None else (wrong in str(found))


def test_resize_when_the_others_have_identities_then_says_that_the_new_ones_have_none(
    guests: Guests,
) -> None:
    guests.identify([1])
    told: list[Event] = []
    classrooms.resize(Context(guests.context.host, told.append), "net", seats=6)
    notes = [one.text.format(**one.facts) for one in told if isinstance(one, Noted)]
    assert notes == ["The new ones have no identity yet: pizarra classroom identify net 6"]
    shown = classrooms.classroom_json(guests.context.host.observe().classroom("net"))
    assert (shown["identities"], len(shown["seats"])) == (1, 6)


def test_resize_when_a_machine_has_an_identity_then_its_disk_stays_as_it_is(
    guests: Guests,
) -> None:
    guests.identify([1])
    report = classrooms.resize(guests.context, "net", disk_bytes=16 << 20)
    assert [one.outcome for one in report.seats[:2]] == [Outcome.SKIPPED, Outcome.DONE]
    assert "checkpoint delete net identity" in str(report.seats[0].reason)


def test_identify_when_one_does_not_start_again_then_the_others_are_told_of(
    guests: Guests,
) -> None:
    verbs.start(guests.context, "net", [1, 2])
    seen = guests.compute.start
    starts: list[str] = []

    def second_time_fails(uuid: str) -> None:
        starts.append(uuid)
        if uuid == seat_uuid("net", 1) and starts.count(uuid) == 2:
            raise ComputeFault("no memory")
        seen(uuid)

    guests.compute.start = second_time_fails  # type: ignore[method-assign]
    report = guests.identify([1, 2])
    assert [one.outcome for one in report.seats] == [Outcome.FAILED, Outcome.DONE]
    assert [guests.power(n) for n in (1, 2)] == [Power.OFF, Power.RUNNING]
    assert guests.seat(1).identity is not None
