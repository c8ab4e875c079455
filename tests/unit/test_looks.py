"""How often a verb looks at the host: as often for a class as for one seat, and no more than this.

A look is one report of LVM and one sweep of libvirt. Each machine that a verb touches is read once
(twice where it runs: what it is defined as, and what it has open).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from pizarra.model.outcome import Report
from pizarra.service import checkpoints, verbs
from pizarra.service.context import Context
from pizarra.service.undo import undo
from tests.unit.test_reset import SEATS, School

Verb = Callable[[Context, list[int]], Report]
ONCE: dict[str, Verb] = {
    "status": lambda context, seats: verbs.status(context, "net", seats),
    "verify": lambda context, seats: verbs.verify(context, "net", seats),
    "reset": lambda context, seats: verbs.reset(context, "net", seats),
    "undo": lambda context, seats: undo(context, "net", seats),
}
TWICE: dict[str, Verb] = {  # what became of the machines, or of the volumes, is looked at again
    "start": lambda context, seats: verbs.start(context, "net", seats),
    "stop": lambda context, seats: verbs.stop(context, "net", seats, grace_s=0),
    "save": lambda context, seats: checkpoints.save(context, "net", "now", seats),
}


def calls(verb: Verb, seats: list[int]) -> Counter[str]:
    school = School()
    school.dirty(*range(1, SEATS + 1))
    school.reset()
    school.dirty(*range(1, SEATS + 1))
    school.compute.calls.clear()
    verb(school.context, seats)
    return Counter(call for call, _ in school.compute.calls)


@pytest.mark.parametrize("name", [*ONCE, *TWICE])
def test_verb_when_there_are_more_seats_then_it_looks_no_more_often(name: str) -> None:
    verb, looks = (ONCE[name], 1) if name in ONCE else (TWICE[name], 2)
    assert calls(verb, [1])["observe"] == looks
    all_ = calls(verb, [*range(1, SEATS + 1)])
    assert (all_["observe"], all_["xml"], all_["live_xml"]) == (looks, SEATS, 0)
