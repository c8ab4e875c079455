"""Whose turn it is: classrooms take turns, and in a classroom its people do.

A job whose seats another job works on is passed over. The next job with these seats waits behind
it, so that a whole classroom comes to its turn although single seats are asked for all the time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from pizarra.server.jobs.models import Job


def choose(
    waiting: Iterable[Job],
    running: Sequence[Job],
    last: Mapping[str, datetime],
    busy: Collection[int | None] = (),
) -> Job | None:
    """The job to begin; None when none can. ``waiting`` come oldest first; ``last`` says when a
    job of a classroom began last; ``busy`` are people whose jobs work in all places but one."""
    rooms = Counter(job.classroom for job in running)
    people = Counter(job.user_id for job in running)

    def turn(job: Job) -> tuple[int, float, int, float]:
        then = last.get(job.classroom)
        began = then.timestamp() if then else 0.0
        return rooms[job.classroom], began, people[job.user_id], job.created.timestamp()

    free = [job for job in _free(waiting, running) if job.user_id not in busy]
    return min(free, key=turn, default=None)


def _free(waiting: Iterable[Job], running: Sequence[Job]) -> list[Job]:
    taken: dict[str, list[Job]] = defaultdict(list)
    for job in running:
        taken[job.classroom].append(job)
    found = []
    for job in waiting:
        before = taken[job.classroom]
        if not job.classroom or not any(_share_seats(job, other) for other in before):
            found.append(job)
        before.append(job)
    return found


def _share_seats(one: Job, other: Job) -> bool:
    """Of the same classroom. No numbers are all seats."""
    if one.numbers is None or other.numbers is None:
        return True
    return not set(one.numbers).isdisjoint(other.numbers)
