"""Two at once: refused with who and since when, or in turn when asked to wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Timer

import pytest

from pizarra.errors import Busy
from pizarra.service import classrooms, recover, upgrade, verbs
from pizarra.service.context import Context
from pizarra.system.locks import claiming
from tests.unit.test_reset import SEATS, School

VERBS: dict[str, Callable[[Context], object]] = {
    "reset": lambda context: verbs.reset(context, "net"),
    "resize": lambda context: classrooms.resize(context, "net", seats=SEATS - 1),
    "upgrade": lambda context: upgrade.upgrade(context, "net"),
    "recover": recover.recover,
    "delete": lambda context: classrooms.delete(context, "net"),
}


@contextmanager
def somebody_at_it(context: Context) -> Iterator[ExitStack]:
    """Has the classroom until the stack is closed."""
    with ExitStack() as held:
        folder = context.host.settings.lock_folder
        held.enter_context(claiming(["classroom:net"], "classroom warm", folder=folder))
        yield held


@pytest.mark.parametrize("verb", VERBS)
def test_verb_when_somebody_is_at_it_and_not_told_to_wait_then_is_busy(verb: str) -> None:
    school = School()
    with somebody_at_it(school.context), pytest.raises(Busy, match="net is busy: classroom warm"):
        VERBS[verb](school.context)


@pytest.mark.parametrize("verb", VERBS)
def test_verb_when_told_to_wait_then_goes_on_once_the_other_has_ended(verb: str) -> None:
    context = Context(School().context.host, wait_s=60)
    with somebody_at_it(context) as held:
        other = Timer(0.2, held.close)
        other.start()
        VERBS[verb](context)  # raises Busy when it does not wait
        other.join()
