"""class.cold, class.hot and class.warm: twelve machines, from the command to all running again.

Each has a floor of its own kind, which takes turns with it: the same machines, no disk touched.
"""

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
from pizarra.model.outcome import Mode, Outcome, SeatOutcome
from pizarra.model.policy import After
from pizarra.model.sizes import MIB
from pizarra.planner.warm import WARM
from pizarra.service import checkpoints, classrooms, records, templates, verbs, warm
from pizarra.service.context import Context, context_here
from pizarra.storage.kinds import Kind
from pizarra.system.process import run

MACHINES, ROUNDS = 12, 5
NAME = "bench"
IMAGE = Path("build/guests/bootsector.img")
_BOOTED_WITHIN_S = 240
_SETTLE_S = 5.0  # no agent tells that a guest of this kind has booted: _wait_until_written does
_Acts = dict[str, Callable[[], None]]


def measure(*modes: Mode) -> Iterator[Series]:
    """The modes and their floors take turns; a technician's loop comes last, for it breaks our
    labels."""
    context = context_here()
    with _classroom(context) as seats:
        if Mode.WARM in modes:
            say("class: saving the RAM of each machine")
            _check(warm.warm(context, NAME, settle_s=_SETTLE_S).seats)
        acts = {f"class.{mode}": _reset(context, mode) for mode in modes}
        acts |= {f"floor.{mode}": _floor(context, seats, mode) for mode in modes}
        took = _in_turns(seats, acts)
        if Mode.WARM in modes:
            checkpoints.delete(context, NAME, WARM)  # while its seats still have our labels
        say("class: the shell loop")
        _wait_until_written(seats)
        shell = [timed_ms(lambda: _shell_loop(seats), MACHINES)]
    for mode in modes:
        others = {"floor": took[f"floor.{mode}"], "recipe.shell": shell}
        ours = took[f"class.{mode}"]
        yield Series(name=f"class.{mode}", n=MACHINES, ours_ms=ours, others_ms=others)


def _in_turns(seats: Sequence[Seat], acts: _Acts) -> dict[str, list[float]]:
    """Milliseconds a machine of each act. The order changes, for what comes before has its effect:
    a machine that was reset hot is warm."""
    took: dict[str, list[float]] = {name: [] for name in acts}
    for number in range(1, ROUNDS + 1):
        for name in sorted(acts, reverse=number % 2 == 0):
            say(f"class: round {number} of {ROUNDS}: {name}")
            _wait_until_written(seats)
            took[name].append(timed_ms(acts[name], MACHINES))
        say("class: " + ", ".join(f"{name} {took[name][-1]:.0f}" for name in acts))
    return took


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
        records.remove_record(context, context.host.observe(), NAME)
        templates.delete(context, NAME)


def _reset(context: Context, mode: Mode) -> Callable[[], None]:
    def act() -> None:
        _check(verbs.reset(context, NAME, mode=mode, after=After.RUNNING).seats)

    return act


def _check(outcomes: Sequence[SeatOutcome]) -> None:
    assert all(one.outcome is Outcome.DONE and not one.reason for one in outcomes), outcomes


def _floor(context: Context, seats: Sequence[Seat], mode: Mode) -> Callable[[], None]:
    """What the machines themselves need, side by side; no disk is touched."""
    steps = _floor_steps(context, mode)

    def act() -> None:
        with ThreadPoolExecutor(context.host.settings.at_once) as threads:
            for step in steps:
                list(threads.map(step, [seat.domain_uuid for seat in seats]))

    return act


def _floor_steps(context: Context, mode: Mode) -> Sequence[Callable[[str], None]]:
    """For the UUID of a machine; each step waits until the one before is done for all machines."""
    compute = context.host.compute
    ram = _saved_ram(context) if mode is Mode.WARM else {}

    def start_anew(uuid: str) -> None:
        compute.kill(uuid)
        if mode is Mode.WARM:
            compute.restore_ram(uuid, ram[uuid])
        else:
            compute.start(uuid)

    def pause_and_press(uuid: str) -> None:
        compute.pause(uuid)
        compute.reset_button(uuid)

    # none goes on while another's button is pressed, as in a hot reset: see docs/performance.md
    return (pause_and_press, compute.resume) if mode is Mode.HOT else (start_anew,)


def _saved_ram(context: Context) -> dict[str, Path]:
    """The file with the saved RAM of each machine, by its UUID."""
    plan = verbs.reset_plan(context, NAME, mode=Mode.WARM, after=After.RUNNING)
    return {
        one.seat.domain_uuid: context.host.states.ram(one.sources[one.seat.volumes[0].uuid])
        for one in plan.seats
        if one.sources
    }


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


def _wait_until_written(seats: Sequence[Seat]) -> None:
    """The guest counts its boots on its disk: see guests/bootsector."""
    deadline = time.monotonic() + _BOOTED_WITHIN_S
    for seat in seats:
        while not _has_booted(seat.volumes[0].path):
            assert time.monotonic() < deadline, f"{seat.name} never booted"
            time.sleep(0.2)


def _has_booted(device: Path) -> bool:
    block = direct_block(device, 4096)
    return block.startswith(b"PIZARRA STATE") and int.from_bytes(block[16:20], "little") > 0
