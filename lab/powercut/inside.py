"""Runs inside the lab: recovers, judges, makes seats dirty, and begins the work for the next cut.

`python -m lab.powercut.inside ACT [STEP]` prints lines of JSON for the other side; `prepare ACT...`
comes first. The process stops before STEP; without a STEP the other side cuts at any time. With
`recover` as ACT only the recovery runs, for a second cut.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.disks import dirty
from lab.powercut import others
from lab.powercut.host import (
    VG,
    content,
    create_state_disk,
    mount_state_disk,
    run_command,
    sha256,
    unmount_state_disk,
)
from lab.powercut.pool_ids import unknown_ids
from pizarra.engine.events import Noted
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import Power, Seat, Volume
from pizarra.model.policy import After
from pizarra.model.sizes import MIB
from pizarra.service import classrooms, templates, verbs
from pizarra.service.context import Context, context_here
from pizarra.service.recover import recover
from pizarra.service.undo import undo
from pizarra.storage.dm_thin import pool as thin_pool
from pizarra.storage.dm_thin.store import DmThinStore
from pizarra.storage.kinds import Kind
from pizarra.system import devmapper, flight

NAME, NEW, SEATS = "net", "fresh", 6
DIRTY_BYTES = 2 * MIB
IMAGE, IMAGE_BYTES = Path("build/guests/bootsector.img"), 8 * MIB  # every byte is compared, often


def say(what: str, **more: Any) -> None:
    """Print a message for the other side."""
    print(json.dumps({"what": what, **more}), flush=True)


def spec(name: str) -> ClassroomSpec:
    """A classroom of six seats without a network."""
    return ClassroomSpec(
        name=name,
        template="boot",
        seats=SEATS,
        memory_bytes=16 * MIB,
        vcpus=1,
        network="none",
        storage=Kind.LVM_THIN,
        vg=VG,
    )


def prepare(context: Context, acts: Sequence[str]) -> None:
    """Create a classroom, volumes of somebody else, and two machines to adopt."""
    with tempfile.NamedTemporaryFile() as image:
        image.write(IMAGE.open("rb").read(IMAGE_BYTES))
        image.flush()
        templates.import_template(
            context, "boot", templates.source_of_file(Path(image.name)), vg=VG
        )
    classrooms.create(context, spec(NAME))
    run_command(
        "lvcreate", "-q", "-y", "-Wn", "-V", "8m", "-T", f"{VG}/pizarra", "-n", "foreign-thin"
    )
    run_command("lvcreate", "-q", "-y", "-Wn", "-Zn", "-L", "8m", "-n", "foreign", VG)
    for name in ("foreign", "foreign-thin"):
        dirty(Path(f"/dev/{VG}/{name}"), 0, 4 * MIB)
    others.create_machines()
    say("foreign", sums=foreign_sums())
    say("prepared")
    act(context, "reset", "")  # so that each later act has an older undo to reclaim
    for what in acts:  # to learn how often each step comes, and how long the act takes
        act(context, what, "")
    begin(context, "recover", "")


def foreign_sums() -> dict[str, str]:
    """Checksums of somebody else's volumes, and of the disks of the machines to adopt."""
    sums = {name: sha256(Path(f"/dev/{VG}/{name}")) for name in ("foreign", "foreign-thin")}
    return sums | others.sums()


def judge(context: Context) -> dict[str, Any]:
    """Recover twice, then judge everything without trusting the product."""
    notes: list[str] = []
    telling = Context(
        context.host, lambda e: notes.append(str(e)) if isinstance(e, Noted) else None
    )
    first = [seat for report in recover(telling) for seat in report.seats]
    again = [seat for report in recover(context) for seat in report.seats]
    seats = [seat for room in context.host.observe().classrooms.values() for seat in room.seats]
    claims = {
        one.seat: one.verified
        for name in context.host.observe().classrooms
        for one in verbs.verify(context, name).seats
    }
    original = original_seats(context, seats)
    return {
        "mended": [str(seat.reason) for seat in first if seat.reason] + notes,
        "second_recover_changed": [seat.seat for seat in again if str(seat.outcome) == "done"],
        "unknown": [seat.name for seat in seats if seat.fault],
        "dirty_seen_as_clean": sorted({s for s, said in claims.items() if said} - original),
        "clean_seen_as_dirty": sorted(original - {s for s, said in claims.items() if said}),
        "lost": lost_seats(context, seats, original),
        "leaks": leaks(context),
        "foreign": foreign_sums(),
        "seats": len(seats),
        "original": len(original),
    }


def original_seats(context: Context, seats: Sequence[Seat]) -> set[str]:
    """Names of the seats that equal their baseline byte for byte."""
    golden: dict[str, bytes] = {}
    found = set()
    for seat in seats:
        (volume,) = seat.volumes
        baseline = seat.baselines.get(volume.uuid)
        if baseline is None:
            continue
        if baseline.uuid not in golden:
            golden[baseline.uuid] = content_of(context, baseline)
        if content_of(context, volume) == golden[baseline.uuid]:
            found.add(seat.name)
    return found


def content_of(context: Context, volume: Volume) -> bytes:
    """The content of a volume, which is activated for the read."""
    with context.host.storage_of(volume).opening(volume) as path:
        return content(path)


def lost_seats(context: Context, seats: Sequence[Seat], original: set[str]) -> list[str]:
    """Names of seats whose content is neither the original nor wholly the student's."""
    gone = []
    for seat in seats:
        if seat.name in original:
            continue
        with context.host.storage_of(seat.volumes[0]).opening(seat.volumes[0]) as path:
            data = path.open("rb").read(DIRTY_BYTES)
        if data != data[:4096] * (DIRTY_BYTES // 4096):
            gone.append(seat.name)
    return gone


def leaks(context: Context) -> list[str]:
    """Volumes, thin ids, devices, machines and metadata snapshots that belong to nobody."""
    found: list[str] = []
    facts = context.host.observe()
    labelled = [volume for volume in facts.volumes.values() if volume.labels]
    known = {NAME, NEW, "boot", "old"}
    found += [v.name for v in labelled if v.labels and v.labels.role.value in ("filling",)]
    found += [v.name for v in labelled if v.name.split("-")[0].split(".")[0] not in known]
    let_lvm_go_on()
    pool = thin_pool.ThinPool(VG, "pizarra")
    found += [f"thin id {i}" for i in unknown_ids(pool, facts.volumes.values())]
    status = devmapper.status(pool.device)[0].text.split()
    found += ["metadata snapshot"] if status[3] != "-" else []
    dm = run_command("dmsetup", "info", "-c", "--noheadings", "-o", "name").split()
    names = {devmapper.dm_name(VG, volume.name) for volume in facts.volumes.values()}
    found += [f"device {d}" for d in dm if "pizarra" not in d and d not in names]
    table = run_command("dmsetup", "table")
    found += [line for line in table.splitlines() if " error" in line]
    mine = {seat.domain_uuid for room in facts.classrooms.values() for seat in room.seats}
    mine |= set(others.UUIDS.values())
    found += [m.name for m in facts.domains.values() if m.uuid not in mine]
    return found


def let_lvm_go_on() -> None:
    """Make LVM change the pool once, so that LVM deletes the thin ids that it noted for deletion.

    LVM notes these ids in its metadata and deletes them with its next change of the pool. An id
    that is still there after that is a leak.
    """
    run_command("lvcreate", "-q", "-y", "-Wn", "-V", "8m", "-T", f"{VG}/pizarra", "-n", "next")
    run_command("lvremove", "-q", "-y", f"{VG}/next")


def run_thin_check() -> str:
    """The errors of thin_check, or "". The pool must be inactive, so this is a lab's last act."""
    unmount_state_disk()
    run_command("vgchange", "-an", VG)
    run_command("lvchange", "-ay", "-y", f"{VG}/pizarra_tmeta")
    argv = ["thin_check", f"/dev/{VG}/pizarra_tmeta"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    run_command("lvchange", "-an", f"{VG}/pizarra_tmeta")
    return "" if done.returncode == 0 else done.stderr + done.stdout


def dirty_all_seats(context: Context) -> None:
    """Switch every seat off and overwrite the start of its disk."""
    seats = context.host.observe().classroom(NAME).seats
    for seat in seats:
        if seat.power is not Power.OFF:
            context.host.compute.kill(seat.domain_uuid)
        dirty(seat.volumes[0].path, 0, DIRTY_BYTES)


def act(context: Context, what: str, step: str) -> None:
    """Prepare the host for an act, and begin it. ``step`` is as in PIZARRA_PAUSE_AT."""
    is_there = NEW in context.host.observe().classrooms
    if what == "create" and is_there:
        assert classrooms.delete(context, NEW).exit_status == 0, "a pool may be stuck"
    if what == "delete" and not is_there:
        classrooms.create(context, spec(NEW))
    if what == "adopt":
        others.release_machines(context)
    dirty_all_seats(context)
    if what == "undo":
        verbs.reset(context, NAME, after=After.OFF)
    begin(context, what, step)


def begin(context: Context, what: str, step: str) -> None:
    """Run one act. The cut falls into this call."""
    os.environ["PIZARRA_PAUSE_AT"] = step
    flight.restart_pauses()
    flight.FLIGHT.clear()
    began = time.monotonic()
    say("began", act=what)
    match what:
        case "reset":
            verbs.reset(context, NAME, after=After.OFF)
        case "undo":
            undo(context, NAME)
        case "create":
            classrooms.create(context, spec(NEW))
        case "delete":
            classrooms.delete(context, NEW)
        case "adopt":
            others.adopt_machines(context)
        case "recover":
            recover(context)
    took_s = round(time.monotonic() - began, 2)
    say("ended", act=what, took_s=took_s, did=list(flight.FLIGHT))


def main() -> None:
    """Prepare; or judge what the last cut left, and begin the next act."""
    what, step = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    if what == "prepare":
        create_state_disk()
    mount_state_disk()
    context = context_here()
    if what == "prepare":
        DmThinStore(VG).prepare()
        prepare(context, sys.argv[2:])
        return
    if what == "recover":
        begin(context, what, step)
        return
    say("judged", **judge(context))
    if what == "end":
        say("thin_check", says=run_thin_check())
    elif what != "judge":
        act(context, what, step)


main()
