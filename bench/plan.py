"""plan: look at everything and plan a reset, over the memory drivers, for very large classrooms."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.series import Series, say, timed_ms
from pizarra.compute.memory import MemoryCompute
from pizarra.engine.memory_host import memory_host
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.labels import FillingLabels, TemplateLabels
from pizarra.model.outcome import Mode
from pizarra.model.policy import After
from pizarra.model.sizes import MIB
from pizarra.planner.reset import plan_reset, worth_proving
from pizarra.service import classrooms
from pizarra.service.context import Context
from pizarra.settings import Settings
from pizarra.storage.interface import NewVolume
from pizarra.storage.kinds import Kind
from pizarra.storage.memory.store import MemoryStore

SEATS = (30, 1000, 10_000)
MOST_IN_ONE = 1000  # a classroom's limit; more seats are more classrooms
ROUNDS = 3


def measure() -> Iterator[Series]:
    """The whole host is looked at and one classroom planned, as `reset --dry-run` does."""
    for seats in SEATS:
        say(f"plan: {seats} seats")
        context = _host_of(seats)
        rounds = [timed_ms(partial(_plan, context, seats), seats) for _ in range(ROUNDS)]
        yield Series(
            name="plan", n=seats, ours_ms=rounds, notes={"total_ms": round(min(rounds) * seats, 1)}
        )


def _plan(context: Context, seats: int) -> None:
    facts = context.host.observe()
    host, planned = context.host, 0
    for room in facts.classrooms.values():
        changes = host.changes(worth_proving(room.seats))
        capabilities = host.storages.capabilities
        as_found = After.AS_FOUND
        plan = plan_reset(room.name, room.seats, Mode.COLD, as_found, changes, capabilities)
        planned += len(plan.seats)
    assert planned == seats


def _host_of(seats: int) -> Context:
    storage = MemoryStore()
    context = Context(memory_host(storage, MemoryCompute(), Settings()))
    labels = TemplateLabels(template="t", version=1)
    new = NewVolume(labels=FillingLabels(becoming=labels), size_bytes=8 * MIB, name="t.v1.vda")
    golden = storage.create_golden(new)
    storage.seal_golden(golden, labels)
    for first in range(0, seats, MOST_IN_ONE):
        spec = ClassroomSpec(
            name=f"room{first // MOST_IN_ONE}",
            template="t",
            seats=min(MOST_IN_ONE, seats - first),
            memory_bytes=64 * MIB,
            storage=Kind.MEMORY,
        )
        classrooms.create(context, spec)
    return context
