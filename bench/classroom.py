"""class.cold and class.hot: twelve machines that run, from the command to all running again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench.disks import VG, direct_block
from bench.series import Series, say, timed_ms
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import Seat
from pizarra.model.outcome import Mode, Outcome
from pizarra.model.policy import After
from pizarra.model.sizes import MIB
from pizarra.service import classrooms, templates, verbs
from pizarra.service.context import Context, context_here
from pizarra.storage.kinds import Kind
from pizarra.system.process import run

MACHINES, ROUNDS = 12, 5
NAME = "bench"
IMAGE = Path("build/guests/bootsector.img")
_BOOTED_WITHIN_S = 240


def measured() -> Iterator[Series]:
    """Ours and the floor take turns; the technician's loop comes last, for it breaks our labels."""
    context = context_here()
    with _classroom(context) as seats:
        acts: dict[str, Callable[[], None]] = {
            "floor": lambda: _floor(context, seats),
            "cold": lambda: _reset(context, Mode.COLD),
            "hot": lambda: _reset(context, Mode.HOT),
        }
        took: dict[str, list[float]] = {name: [] for name in acts}
        for number in range(1, ROUNDS + 1):
            # in turns, for what comes before has its effect: a machine that was reset hot is warm
            for name in sorted(acts, reverse=number % 2 == 0):
                say(f"class: round {number} of {ROUNDS}: {name}")
                _all_have_written(seats)
                took[name].append(timed_ms(acts[name], MACHINES))
            say("class: " + ", ".join(f"{name} {took[name][-1]:.0f}" for name in acts))
        cold, floor, hot = took["cold"], took["floor"], took["hot"]
        say("class: the shell loop")
        _all_have_written(seats)
        shell = [timed_ms(lambda: _shell_loop(seats), MACHINES)]
    others = {"floor": floor, "recipe.shell": shell}
    yield Series(name="class.cold", n=MACHINES, ours_ms=cold, others_ms=others)
    with_cold = {**others, "class.cold": cold}
    yield Series(name="class.hot", n=MACHINES, ours_ms=hot, others_ms=with_cold)


@contextmanager
def _classroom(context: Context) -> Iterator[Sequence[Seat]]:
    say(f"class: making {MACHINES} machines and starting them")
    templates.import_template(context, NAME, templates.source_of_file(IMAGE), vg=VG)
    spec = ClassroomSpec(
        name=NAME,
        template=NAME,
        seats=MACHINES,
        memory_bytes=16 * MIB,
        vcpus=1,
        network="none",
        storage=Kind.LVM_THIN,
        vg=VG,
    )
    classrooms.create(context, spec)
    verbs.start(context, NAME)
    seats = context.host.observe().classroom(NAME).seats
    try:
        yield seats
    finally:
        for seat in seats:  # as they were: the loop has made their volumes anew, without labels
            context.host.compute.kill(seat.domain_uuid)
            context.host.compute.undefine(seat.domain_uuid)
        run(["lvremove", "-q", "-y", *(f"{VG}/{NAME}-{n:02d}.vda" for n in range(1, MACHINES + 1))],
            timeout_s=300)  # fmt: skip
        templates.delete(context, NAME)


def _reset(context: Context, mode: Mode) -> None:
    report = verbs.reset(context, NAME, mode=mode, after=After.RUNNING)
    assert all(seat.outcome is Outcome.DONE for seat in report.seats), report


def _floor(context: Context, seats: Sequence[Seat]) -> None:
    """Destroy and start the same machines, side by side; no disk is touched."""

    def again(seat: Seat) -> None:
        context.host.compute.kill(seat.domain_uuid)
        context.host.compute.start(seat.domain_uuid)

    with ThreadPoolExecutor(context.host.settings.at_once) as threads:
        list(threads.map(again, seats))


def _shell_loop(seats: Sequence[Seat]) -> None:
    """What a technician writes: one after another, with the tools' own commands."""
    for seat in seats:
        volume = seat.volumes[0]
        golden = seat.baselines[volume.uuid].name
        run(["virsh", "-q", "destroy", seat.name])
        run(["lvremove", "-q", "-y", f"{VG}/{volume.name}"], timeout_s=300)
        run(["lvcreate", "-q", "-y", "-s", "-kn", "-n", volume.name, f"{VG}/{golden}"],
            timeout_s=300)  # fmt: skip
        run(["virsh", "-q", "start", seat.name])


def _all_have_written(seats: Sequence[Seat]) -> None:
    """The guest counts its boots on its disk: see guests/bootsector."""
    deadline = time.monotonic() + _BOOTED_WITHIN_S
    for seat in seats:
        while not _has_booted(seat.volumes[0].path):
            assert time.monotonic() < deadline, f"{seat.name} never booted"
            time.sleep(0.2)


def _has_booted(device: Path) -> bool:
    block = direct_block(device, 4096)
    return block.startswith(b"PIZARRA STATE") and int.from_bytes(block[16:20], "little") > 0
