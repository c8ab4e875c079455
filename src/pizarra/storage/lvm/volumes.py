"""What the two LVM backends share: observe, label, activate, remove, open. Runs ``lvm``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from pizarra.errors import (
    BadInput,
    HostNotFit,
    NoSpace,
    NotOurs,
    PizarraError,
    StorageFault,
)
from pizarra.model.classroom_record import ClassroomRecord
from pizarra.model.facts import StorageFacts, StorageKind, Volume
from pizarra.model.labels import Labels, MaintenanceLabels, SeatLabels
from pizarra.model.sentence import N_, Sentence
from pizarra.model.sizes import size_text
from pizarra.settings import Settings
from pizarra.storage.interface import (
    Faults,
    NewVolume,
    Progress,
    ignore_progress,
    raise_first,
)
from pizarra.storage.lvm import commands as lvm_commands
from pizarra.storage.lvm import report as lvm_report
from pizarra.storage.lvm.records import record_tag, tags_of_classroom
from pizarra.system import devmapper, lvm_calls
from pizarra.system.process import Completed, run

_NO_CONTENT = "No data available"  # ENODATA, of loading a thin table whose id is not in the pool
_NO_LOCK = "--nolocking"
_NAMESAKES = re.compile(r"Multiple VGs found with the same name: skipping (\S+)")
NO_SIZES: Mapping[str, int] = MappingProxyType({})
LVM_TIMEOUT_S = 600  # it queues on its own lock behind others; nobody times out under load


def lvm(argv: Sequence[str]) -> Completed:
    """One LVM command. Raises StorageFault with LVM's own words; what it prints beside is no
    matter."""
    done = _ask(argv)
    if done.returncode != 0:
        raise _in_words(argv[0], done.stderr)
    return done


def lvm_batch(commands: Sequence[Sequence[str]]) -> str:
    """Many commands in one process, and all that LVM said. Raises StorageFault if none could run.

    LVM's shell ends well whatever became of its commands, and says much that is no refusal. So
    whoever calls looks what is there: ``LvmVolumes.unmade`` and ``unlabelled``.

    Every argument is validated upstream.
    """
    if not commands:
        return ""
    done = _among_namesakes(partial(_run_lines, commands))
    if done.returncode != 0:
        raise _in_words(commands[0][0], done.stderr)
    return done.stderr


def _run_lines(commands: Sequence[Sequence[str]], devices: Sequence[str]) -> Completed:
    text = lvm_calls.pinned_lines(commands, devices)
    return run(["lvm"], input_text=text, check=False, timeout_s=LVM_TIMEOUT_S)


def _ask(argv: Sequence[str]) -> Completed:
    """One command, however it ended."""
    return _among_namesakes(
        lambda devices: run(lvm_calls.pinned(argv, devices), check=False, timeout_s=LVM_TIMEOUT_S)
    )


def _among_namesakes(ask: Callable[[Sequence[str]], Completed]) -> Completed:
    """LVM refuses every command that names a volume group of which there are two. If one of them
    is ours, ``ask`` is called again, so that LVM sees only the disks of that one."""
    done = ask(())
    refused = _NAMESAKES.search(done.stderr)
    return ask(_disks_of_ours(refused[1])) if refused else done


def _disks_of_ours(vg: str) -> list[str]:
    """The physical volumes of the group of this name that is ours. Whoever asks may hold LVM's
    lock. Raises HostNotFit when nobody can tell which one it is."""
    told = lvm_report.parse_groups(_ask([*lvm_commands.full_report(), _NO_LOCK]).stdout).readable
    group = next(one for one in told if one.vg.vg_name == vg)
    if group.fault:
        raise HostNotFit(
            "Two volume groups have one name, so LVM does neither: {said}",
            "See vgs -o +vg_uuid,pv_name, then rename one: vgrename UUID NEW_NAME",
            said=group.fault,
        )
    disks = lvm_calls.rows(_ask([*lvm_calls.report("pvs", "pv_name,vg_uuid"), _NO_LOCK]).stdout)
    return [row["pv_name"] for row in disks if row["vg_uuid"] == group.vg.vg_uuid]


def _in_words(verb: str, stderr: str) -> PizarraError:
    said = _words(stderr)
    if "nsufficient free space" in said or "nsufficient suitable" in said:
        return NoSpace("LVM has no room: {said}", "Make room, or add a disk: vgextend.", said=said)
    if "Volume group" in said and "not found" in said:
        return HostNotFit("{said}.", "See the volume groups with: vgs", said=said.rstrip("."))
    return StorageFault("LVM refused {verb}: {said}", verb=verb, said=said or "it did not say why")


def _words(stderr: str) -> str:
    lines = dict.fromkeys(line.strip() for line in stderr.splitlines())  # each once
    return "; ".join(line for line in lines if line and not line.startswith("WARNING"))[-600:]


def lvm_facts(*rest: str) -> StorageFacts:
    """All volume groups, or one, in one report. Of all groups, one that LVM cannot show stops no
    other: the facts say that it is missing. Raises StorageFault, HostNotFit."""
    argv = lvm_commands.full_report(*rest)
    done = _ask(argv)
    partly = done.returncode == lvm_calls.PARTLY and not rest and bool(done.stdout.strip())
    if done.returncode != 0 and not partly:
        raise _in_words(argv[0], done.stderr)
    found = lvm_report.facts(lvm_report.parse_groups(done.stdout))
    unseen = (Sentence("LVM could not show all: {said}", said=_words(done.stderr)),)
    return replace(found, unseen=unseen) if partly else found


def lvm_facts_here(settings: Settings) -> StorageFacts:
    """All groups of this host. A host without LVM has none, and that is no error."""
    _ = settings
    try:
        return lvm_facts()
    except HostNotFit:
        return StorageFacts()


def lvm_facts_unlocked(vg: str) -> StorageFacts:
    """The same for whoever holds the group's lock already: LVM would wait for us for ever."""
    return lvm_facts(vg, _NO_LOCK)


class LvmVolumes:
    """A volume group. The thin and the thick backend build on it."""

    kind: StorageKind

    def __init__(self, vg: str) -> None:
        self.place = vg

    def observe(self) -> StorageFacts:
        """One report of the whole group."""
        return lvm_facts(self.place)

    def find(self, name: str) -> Volume:
        """The volume of this name, as it is now. Raises StorageFault when there is none."""
        for volume in self.observe().volumes:
            if volume.name == name:
                return volume
        raise StorageFault("{vg}/{name} is not there after all.", vg=self.place, name=name)

    def find_made(self, new: NewVolume) -> Volume:
        """A volume that LVM says it made. Raises StorageFault when it is not there as wished."""
        return self._check(self.find(new.name), new.labels, new.size_bytes)

    def _check(self, volume: Volume, labels: Labels, size_bytes: int = 0) -> Volume:
        """LVM ends well whatever came of it. Raises StorageFault."""
        if not _is_as_wished(volume, labels, size_bytes):
            raise _undone(self.place, volume.name)
        return volume

    def space_of_group(self, new_bytes: int, what: str) -> None:
        """Raises NoSpace unless the group has room."""
        group = next(pool for pool in self.observe().pools if pool.name == self.place)
        check_space(group.free_bytes, new_bytes, what, f"volume group {self.place}")

    def seal_golden(
        self, volume: Volume, labels: Labels, progress: Progress = ignore_progress
    ) -> Volume:
        """Read-only from now on; labelled last, so a power cut leaves no golden half sealed."""
        if not volume.read_only:
            lvm(lvm_commands.change(self.place, volume.name, "-pr"))
        self._deactivate(volume)
        if argv := lvm_commands.set_labels(volume, labels):
            lvm(argv)
        progress(1.0)
        return self._check(self.find(volume.name), labels)

    def _deactivate(self, volume: Volume) -> None:
        """A classic golden stays active: its snapshots read through it."""

    def set_labels(self, volumes: Mapping[str, Labels], facts: StorageFacts) -> None:
        """One process for all."""
        by_uuid = {volume.uuid: volume for volume in facts.volumes}
        commands = {
            uuid: argv
            for uuid, labels in volumes.items()
            if (argv := lvm_commands.set_labels(by_uuid[uuid], labels))
        }
        said = lvm_batch(list(commands.values()))
        if commands:
            raise_first(self.unlabelled({uuid: volumes[uuid] for uuid in commands}, said))

    def unmade(self, new: Sequence[NewVolume], said: str) -> dict[str, PizarraError]:
        """Of volumes that a batch was to make, by name: those that are not there as wished."""
        now = {volume.name: volume for volume in self.observe().volumes}
        return {
            one.name: _in_words("lvcreate", said)
            for one in new
            if not _is_as_wished(now.get(one.name), one.labels, one.size_bytes)
        }

    def unlabelled(
        self, wished: Mapping[str, Labels], said: str, sizes: Mapping[str, int] = NO_SIZES
    ) -> dict[str, PizarraError]:
        """Of volumes that a batch was to label, by UUID: those that have other labels, or are
        smaller than they were to be."""
        now = {volume.uuid: volume for volume in self.observe().volumes}
        return {
            uuid: _in_words("lvchange", said)
            for uuid, labels in wished.items()
            if not _is_as_wished(now.get(uuid), labels, sizes.get(uuid, 0))
        }

    def is_path_of(self, volume: Volume, path: str) -> bool:
        """By its name under /dev, by device-mapper's, or by a link to the same device."""
        mapped = f"/dev/mapper/{devmapper.dm_name(volume.place, volume.name)}"
        return path in (str(volume.path), mapped) or (
            volume.active and os.path.realpath(path) == os.path.realpath(volume.path)
        )

    def remove_labels(self, volume: Volume) -> None:
        """All tags of ours off; those of others stay. Raises StorageFault."""
        if volume.labels and volume.tags:
            lvm(lvm_commands.unlabel(volume.place, volume.name, volume.tags))
            if self.find(volume.name).tags:
                raise _undone(self.place, volume.name)

    def write_record(self, record: ClassroomRecord) -> None:
        """One change of the group's metadata, or none."""
        self._replace_record(record.classroom, [record_tag(record)])

    def remove_record(self, classroom: str) -> None:
        """Fine if there is none."""
        self._replace_record(classroom, [])

    def _replace_record(self, classroom: str, wanted: Sequence[str]) -> None:
        old = self._records_of(classroom)
        gone = [tag for tag in old if tag not in wanted]
        added = [tag for tag in wanted if tag not in old]
        if gone or added:
            lvm(lvm_commands.set_group_tags(self.place, gone, added))
            if {*self._records_of(classroom)} != {*wanted}:
                raise _undone(self.place, classroom)

    def _records_of(self, classroom: str) -> list[str]:
        told = lvm_calls.rows(lvm(lvm_commands.group_tags(self.place)).stdout)
        there = [tag for row in told for tag in row["vg_tags"].split(",")]
        return tags_of_classroom(there, classroom)

    def remove(self, volumes: Sequence[Volume]) -> Faults:
        """What is gone already is fine; what is not ours, or another by now, stays."""
        now = {volume.uuid: volume for volume in self.observe().volumes}
        faults: dict[str, PizarraError | None] = {volume.uuid: None for volume in volumes}
        names = []
        for volume in volumes:
            present = now.get(volume.uuid)
            if present and (fault := _keep(present, faults.keys(), now.values())):
                faults[volume.uuid] = fault
            elif present:
                names.append(present.name)
        if names:
            try:
                lvm(lvm_commands.remove(self.place, names))
                why = None
            except PizarraError as error:
                why = error
            left = {volume.uuid for volume in self.observe().volumes}
            for volume in volumes:
                if volume.uuid in left and faults[volume.uuid] is None:
                    faults[volume.uuid] = why or _undone(self.place, volume.name)
        return faults

    def changed_since_observed(self, volumes: Sequence[Volume]) -> dict[str, PizarraError | None]:
        """Those that are not what was observed any more, by UUID, each with a refusal."""
        now = {one.uuid: one for one in self.observe().volumes}
        return {
            volume.uuid: not_ours_error(volume, Sentence("it changed meanwhile"))
            for volume in volumes
            if (present := now.get(volume.uuid)) is None
            or present.name != volume.name
            or present.labels is None
        }

    def grow(self, volume: Volume, size_bytes: int) -> None:
        """``lvextend``; the guest sees it at its next start."""
        if size_bytes < volume.size_bytes:
            raise BadInput(
                "{name} has {has}; making it smaller would cut off what is at its end.",
                "Choose a size that is not below {has}.",
                name=volume.name,
                has=size_text(volume.size_bytes),
            )
        if size_bytes > volume.size_bytes:
            lvm(lvm_commands.extend(self.place, volume.name, size_bytes))
            if self.find(volume.name).size_bytes < size_bytes:
                raise _undone(self.place, volume.name)

    def has_error_table(self, volume: Volume) -> bool:
        """It stands on ``error``, or is suspended."""
        device = devmapper.device(devmapper.dm_name(self.place, volume.name))
        return device is not None and (device.suspended or device.targets[0].kind == "error")

    def activate(self, volume: Volume) -> bool:
        """``lvchange -ay``, which fails when the pool knows nothing of its thin id."""
        try:
            if not volume.active:
                self.make_active(volume)
        except StorageFault as error:
            if _NO_CONTENT in str(error):
                return False
            raise
        return True

    def make_active(self, volume: Volume) -> None:
        """``lvchange -ay`` ends well for a volume that lvm.conf keeps inactive. Raises
        StorageFault."""
        lvm(lvm_commands.change(self.place, volume.name, "-ay", "-K"))
        if devmapper.device(devmapper.dm_name(self.place, volume.name)) is None:
            raise StorageFault(
                "LVM does not activate {place}/{name}.",
                "Does a setting keep it inactive? lvmconfig activation/volume_list",
                place=self.place,
                name=volume.name,
            )

    def wake(self, volumes: Sequence[Volume]) -> None:
        """Those of machines are active, as somebody may have deactivated the whole group. One that
        cannot be says so when it is used."""
        for volume in volumes:
            if not volume.active and isinstance(volume.labels, SeatLabels | MaintenanceLabels):
                with suppress(StorageFault):
                    self.activate(volume)

    @contextmanager
    def opening(
        self, volume: Volume, *, raw: bool = False, writable: bool = False
    ) -> Iterator[Path]:
        """Its device; an inactive one is activated for as long as the block lasts."""
        _ = raw  # a device always is
        if not volume.active:
            self.make_active(volume)
        try:
            yield volume.path
            if writable:
                devmapper.flush_page_cache(volume.path)
        finally:
            if not volume.active:
                lvm(lvm_commands.change(self.place, volume.name, "-an"))


def _undone(vg: str, name: str) -> StorageFault:
    """LVM ended well, and what it was to do is not done."""
    return StorageFault(
        "LVM said that {vg}/{name} was changed, and it is not.",
        "Run: pizarra host check",
        vg=vg,
        name=name,
    )


def _is_as_wished(volume: Volume | None, labels: Labels, size_bytes: int) -> bool:
    return (
        volume is not None
        and {*volume.tags} == {*labels.to_tags()}
        and volume.size_bytes >= size_bytes
    )


def _keep(volume: Volume, going: Collection[str], present: Iterable[Volume]) -> PizarraError | None:
    """Why a volume must stay: it is not ours, or LVM would take others away with it."""
    if volume.labels is None:
        return not_ours_error(volume, N_("it carries no label of ours"))
    if volume.pool:
        return None  # thin snapshots outlive their origin
    standing = [v.name for v in present if v.origin == volume.name and v.uuid not in going]
    if not standing:
        return None
    return StorageFault(
        "{place}/{name} stays: {standing} stand on it.",
        "Remove those first.",
        place=volume.place,
        name=volume.name,
        standing=", ".join(standing),
    )


def check_space(free_bytes: int, new_bytes: int, what: str, where: str) -> None:
    """Raises NoSpace with both numbers."""
    if new_bytes > free_bytes:
        raise NoSpace(
            "{what} needs {needs}, and {where} has {free} free.",
            "Make room, or add a disk to the volume group: vgextend.",
            what=what,
            needs=size_text(new_bytes),
            where=where,
            free=size_text(free_bytes),
        )


def not_ours_error(volume: Volume, why: str) -> NotOurs:
    """The refusal to touch a volume."""
    return NotOurs(
        "{place}/{name} is left alone: {why}.",
        "See its tags with: lvs -o +lv_tags,lv_uuid {place}/{name}",
        place=volume.place,
        name=volume.name,
        why=why,
    )


def find_device(volume: Volume) -> devmapper.Device:
    """The live device of a volume, which must be the very one that LVM reported.

    A name is never enough: the kernel keeps LVM's UUID with the device.
    Raises NotOurs, StorageFault.
    """
    device = devmapper.device(devmapper.dm_name(volume.place, volume.name))
    if device is None:
        raise StorageFault(
            "{place}/{name} is not active.",
            "Activate it: lvchange -ay {place}/{name}; or run: pizarra recover",
            place=volume.place,
            name=volume.name,
        )
    if device.uuid[36:68] != volume.uuid.replace("-", ""):
        raise not_ours_error(volume, N_("its device is that of another volume"))
    return device
