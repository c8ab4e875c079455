"""Inside the lab: recover, judge, make dirty, and begin what the power cut falls into.

`python -m lab.powercut.inside ACT [STEP]`, or first `prepare ACT...`, prints JSON lines for the
other side. Without a STEP nothing stops: the other side cuts whenever it likes. `recover` only
does that: it is what a second cut falls into.
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

from bench.disks import dirtied
from lab.powercut import others
from lab.powercut.host import (
    VG,
    content,
    own_disk_away,
    own_disk_made,
    own_disk_mounted,
    ran,
    sha256,
)
from lab.powercut.pool_ids import not_known
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
IMAGE, IMAGE_BYTES = Path("build/guests/bootsector.img"), 8 * MIB  # all of it is compared, often


def say(what: str, **more: Any) -> None:
    """A line for the other side."""
    print(json.dumps({"what": what, **more}), flush=True)


def spec(name: str) -> ClassroomSpec:
    """Six seats without a network."""
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


def prepared(context: Context, acts: Sequence[str]) -> None:
    """A class; volumes of somebody else's in the same pool and beside it; two machines to adopt."""
    with tempfile.NamedTemporaryFile() as image:
        image.write(IMAGE.open("rb").read(IMAGE_BYTES))
        image.flush()
        templates.import_template(
            context, "boot", templates.source_of_file(Path(image.name)), vg=VG
        )
    classrooms.create(context, spec(NAME))
    ran("lvcreate", "-q", "-y", "-Wn", "-V", "8m", "-T", f"{VG}/pizarra", "-n", "foreign-thin")
    ran("lvcreate", "-q", "-y", "-Wn", "-Zn", "-L", "8m", "-n", "foreign", VG)
    for name in ("foreign", "foreign-thin"):
        dirtied(Path(f"/dev/{VG}/{name}"), 0, 4 * MIB)
    others.made()
    say("foreign", sums=foreign_sums())
    say("prepared")
    act(context, "reset", "")  # so that each of those that follow has an older undo to give back
    for what in acts:  # how often each step comes, and how long it takes
        act(context, what, "")
    begun(context, "recover", "")


def foreign_sums() -> dict[str, str]:
    """What is somebody else's, volume by volume; of a machine that we adopt, what it sees."""
    sums = {name: sha256(Path(f"/dev/{VG}/{name}")) for name in ("foreign", "foreign-thin")}
    return sums | others.sums()


def judged(context: Context) -> dict[str, Any]:
    """Recover twice, then look at everything with other eyes than the product's own."""
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
    original = originals(context, seats)
    return {
        "mended": [str(seat.reason) for seat in first if seat.reason] + notes,
        "second_recover_changed": [seat.seat for seat in again if str(seat.outcome) == "done"],
        "unknown": [seat.name for seat in seats if seat.fault],
        "dirty_seen_as_clean": sorted({s for s, said in claims.items() if said} - original),
        "clean_seen_as_dirty": sorted(original - {s for s, said in claims.items() if said}),
        "lost": lost(context, seats, original),
        "leaks": leaks(context),
        "foreign": foreign_sums(),
        "seats": len(seats),
        "original": len(original),
    }


def originals(context: Context, seats: Sequence[Seat]) -> set[str]:
    """Byte for byte; a seat without a baseline has no original to be."""
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
    """A golden volume sleeps; it is woken for the look."""
    with context.host.storage_of(volume).opening(volume) as path:
        return content(path)


def lost(context: Context, seats: Sequence[Seat], original: set[str]) -> list[str]:
    """Seats that are neither original nor wholly what the student left."""
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
    """Volumes, thin ids, devices, machines or a metadata snapshot that nobody knows any more."""
    found: list[str] = []
    facts = context.host.observe()
    labelled = [volume for volume in facts.volumes.values() if volume.labels]
    known = {NAME, NEW, "boot", "old"}
    found += [v.name for v in labelled if v.labels and v.labels.role.value in ("filling",)]
    found += [v.name for v in labelled if v.name.split("-")[0].split(".")[0] not in known]
    lvm_has_gone_on()
    pool = thin_pool.ThinPool(VG, "pizarra")
    found += [f"thin id {i}" for i in not_known(pool, facts.volumes.values())]
    status = devmapper.status(pool.device)[0].text.split()
    found += ["metadata snapshot"] if status[3] != "-" else []
    dm = ran("dmsetup", "info", "-c", "--noheadings", "-o", "name").split()
    names = {devmapper.dm_name(VG, volume.name) for volume in facts.volumes.values()}
    found += [f"device {d}" for d in dm if "pizarra" not in d and d not in names]
    table = ran("dmsetup", "table")
    found += [line for line in table.splitlines() if " error" in line]
    mine = {seat.domain_uuid for room in facts.classrooms.values() for seat in room.seats}
    mine |= set(others.UUIDS.values())
    found += [m.name for m in facts.domains.values() if m.uuid not in mine]
    return found


def lvm_has_gone_on() -> None:
    """LVM notes in its metadata which thin ids it has yet to delete, and does so with its next
    change of the pool: one that it has not deleted by then is a leak."""
    ran("lvcreate", "-q", "-y", "-Wn", "-V", "8m", "-T", f"{VG}/pizarra", "-n", "next")
    ran("lvremove", "-q", "-y", f"{VG}/next")


def thin_checked() -> str:
    """thin_check wants the pool asleep; its verdict comes last of all, in a lab of its own."""
    own_disk_away()
    ran("vgchange", "-an", VG)
    ran("lvchange", "-ay", "-y", f"{VG}/pizarra_tmeta")
    argv = ["thin_check", f"/dev/{VG}/pizarra_tmeta"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    ran("lvchange", "-an", f"{VG}/pizarra_tmeta")
    return "" if done.returncode == 0 else done.stderr + done.stdout


def all_dirty(context: Context) -> None:
    """Every seat off, and written over."""
    seats = context.host.observe().classroom(NAME).seats
    for seat in seats:
        if seat.power is not Power.OFF:
            context.host.compute.kill(seat.domain_uuid)
        dirtied(seat.volumes[0].path, 0, DIRTY_BYTES)


def act(context: Context, what: str, step: str) -> None:
    """Make ready for it, and begin. ``step`` is as in PIZARRA_PAUSE_AT."""
    is_there = NEW in context.host.observe().classrooms
    if what == "create" and is_there:
        assert classrooms.delete(context, NEW).exit_status == 0, "a pool may be stuck"
    if what == "delete" and not is_there:
        classrooms.create(context, spec(NEW))
    if what == "adopt":
        others.free_again(context)
    all_dirty(context)
    if what == "undo":
        verbs.reset(context, NAME, after=After.OFF)
    begun(context, what, step)


def begun(context: Context, what: str, step: str) -> None:
    """What the cut falls into, and nothing else."""
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
            others.adopted(context)
        case "recover":
            recover(context)
    took_s = round(time.monotonic() - began, 2)
    say("ended", act=what, took_s=took_s, did=list(flight.FLIGHT))


def main() -> None:
    """prepare, or judge what was and begin the next."""
    what, step = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    if what == "prepare":
        own_disk_made()
    own_disk_mounted()
    context = context_here()
    if what == "prepare":
        DmThinStore(VG).prepare()
        prepared(context, sys.argv[2:])
        return
    if what == "recover":
        begun(context, what, step)
        return
    say("judged", **judged(context))
    if what == "end":
        say("thin_check", says=thin_checked())
    elif what != "judge":
        act(context, what, step)


main()
