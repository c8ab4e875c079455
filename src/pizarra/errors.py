"""One tree of errors: a stable code, the facts, what to do next, exit status and HTTP status.

An error keeps its English template and its facts apart, so that the edge (CLI, web) can put it in
the reader's language. Below the edge nobody reads the words, only the class and the facts.
"""

from __future__ import annotations

from collections.abc import Iterator


class PizarraError(Exception):
    """Anything we raise on purpose. ``text`` and ``hint`` are templates over ``facts``."""

    code = "failed"  # for programs; a code never changes its meaning
    exit_status = 1
    http_status = 500

    def __init__(self, text: str, hint: str = "", /, **facts: object) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.facts = facts

    def __str__(self) -> str:
        return self.text.format(**self.facts)

    @property
    def advice(self) -> str:
        """The next step, in English; empty when there is none."""
        return self.hint.format(**self.facts)


class BadInput(PizarraError):
    """The request cannot be right, whatever the state of the host."""

    code = "bad_input"
    exit_status = 2
    http_status = 400


class NotFound(BadInput):
    """The request names something that is not there."""

    code = "not_found"
    http_status = 404


class AlreadyExists(BadInput):
    """The request would make something that is there."""

    code = "already_exists"
    http_status = 409


class KeyReused(BadInput):
    """An idempotency key came with another request than the first time."""

    code = "key_reused"
    http_status = 409


class Forbidden(BadInput):
    """A server knows who asks, and they may not."""

    code = "forbidden"
    http_status = 403


class NotOurs(BadInput):
    """Something has a name of ours, or lacks the tag or UUID we expect. It is left alone."""

    code = "not_ours"
    http_status = 403


class Unsupported(BadInput):
    """This storage backend or guest cannot do it, and says so before anything is touched."""

    code = "unsupported"
    http_status = 409


class HostNotFit(PizarraError):
    """The host lacks something. The hint says what mends it."""

    code = "host_not_fit"
    exit_status = 3
    http_status = 503


class NoSpace(HostNotFit):
    """It would not fit. Nothing was made."""

    code = "no_space"
    http_status = 507


class Busy(PizarraError):
    """Somebody else works on the same seat, classroom or template."""

    code = "busy"
    exit_status = 4
    http_status = 409


class TooManyJobs(Busy):
    """Whoever asks has as many jobs under way as one person may have."""

    code = "too_many_jobs"
    http_status = 429


class TooManyStreams(Busy):
    """Whoever asks has as many streams open as one person may have."""

    code = "too_many_streams"
    http_status = 429


class TooOften(PizarraError):
    """Somebody guesses. The hint says when they can try again."""

    code = "too_often"
    exit_status = 4
    http_status = 429


class Bug(PizarraError):
    """A mistake of ours that the agent met."""

    code = "bug"


class StorageFault(PizarraError):
    """LVM, device-mapper or a file system refused."""

    code = "storage_fault"


class OtherOriginal(StorageFault):
    """A volume stands on another original than its label names: until the next reset."""

    code = "other_original"


class ComputeFault(PizarraError):
    """libvirt or QEMU refused."""

    code = "compute_fault"


class RulesGone(ComputeFault):
    """libvirt has no firewall rules for its networks: somebody took its chains away."""


class SubnetTaken(ComputeFault):
    """A network cannot start, most likely because its addresses are somebody else's."""


class CommandFailed(PizarraError):
    """A process ended with a status that was not expected."""

    code = "command_failed"


class CommandTimedOut(CommandFailed):
    """A process was still running at its limit and was killed."""

    code = "command_timed_out"


def _classes(base: type[PizarraError]) -> Iterator[type[PizarraError]]:
    yield base
    for one in base.__subclasses__():
        yield from _classes(one)


def class_of(code: str) -> type[PizarraError]:
    """The class that a code stands for; the base class for a code that is not known here."""
    return next((one for one in _classes(PizarraError) if one.code == code), PizarraError)
