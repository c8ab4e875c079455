"""One tree of errors: whose blame, the facts, what to do next, exit status and HTTP status.

An error keeps its English template and its facts apart, so that the edge (CLI, web) can put it in
the reader's language. Below the edge nobody reads the words, only the class and the facts.
"""

from __future__ import annotations


class PizarraError(Exception):
    """Anything we raise on purpose. ``text`` and ``hint`` are templates over ``facts``."""

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

    exit_status = 2
    http_status = 400


class NotFound(BadInput):
    """The request names something that is not there."""

    http_status = 404


class AlreadyExists(BadInput):
    """The request would make something that is there."""

    http_status = 409


class NotOurs(BadInput):
    """Something has a name of ours, or lacks the tag or UUID we expect. It is left alone."""

    http_status = 403


class Unsupported(BadInput):
    """This storage backend or guest cannot do it, and says so before anything is touched."""

    http_status = 409


class HostNotFit(PizarraError):
    """The host lacks something. The hint says what mends it."""

    exit_status = 3
    http_status = 503


class NoSpace(HostNotFit):
    """It would not fit. Nothing was made."""

    http_status = 507


class Busy(PizarraError):
    """Somebody else works on the same seat, classroom or template."""

    exit_status = 4
    http_status = 409


class Bug(PizarraError):
    """A mistake of ours that the worker met: told as such."""


class StorageFault(PizarraError):
    """LVM, device-mapper or a file system refused."""


class OtherOriginal(StorageFault):
    """A volume stands on another original than its label names: until the next reset."""


class ComputeFault(PizarraError):
    """libvirt or QEMU refused."""


class CommandFailed(PizarraError):
    """A process ended with a status that was not expected."""


class CommandTimedOut(CommandFailed):
    """A process was still running at its limit and was killed."""
