"""Seats that go to another version of their template: what each of their volumes stands on then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pizarra.errors import NotOurs, Unsupported
from pizarra.model.facts import Power, Seat, Template, Volume
from pizarra.model.labels import SeatLabels, TemplateLabels
from pizarra.model.outcome import Outcome
from pizarra.model.sentence import Sentence
from pizarra.storage.interface import Rebase


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatMove:
    """One seat: the moves of its volumes, or an outcome already and its reason."""

    seat: Seat
    moves: tuple[Rebase, ...] = ()
    outcome: Outcome | None = None
    reason: str | None = None


def check_target(target: Template, present: Template) -> None:
    """Raises NotOurs, Unsupported when no seat of ``present`` can go to ``target``."""
    if target.fault:
        raise NotOurs(
            "The template {name} cannot be used: {why}.", name=target.name, why=target.fault
        )
    for what, wish, has in (
        (Sentence("disks"), _disks(target.volumes), _disks(present.volumes)),
        (Sentence("firmware"), _firmware(target), _firmware(present)),
        (Sentence("hardware"), _hardware(target), _hardware(present)),
    ):
        if wish != has:
            raise Unsupported(
                "Version {version} of {name} has other {what} ({wish}) than version {old} ({has}).",
                "Make a new classroom of it: pizarra classroom create",
                name=target.name,
                version=target.version,
                old=present.version,
                what=what,
                wish=wish,
                has=has,
            )


def _disks(volumes: Sequence[Volume[TemplateLabels]]) -> str:
    return ", ".join(volume.labels.disk for volume in volumes)


def _firmware(template: Template) -> str:
    return str(template.labels.firmware)


def _hardware(template: Template) -> str:
    """Of each disk that has not the usual one."""
    of = {volume.labels.disk: str(volume.labels.hardware) for volume in template.volumes}
    return ", ".join(f"{disk} {told}" for disk, told in of.items() if told) or "-"


def seat_moves(seats: Sequence[Seat], target: Template, *, at_reset: bool) -> tuple[SeatMove, ...]:
    """``at_reset``: a seat's content goes at its next reset; else at once, and it must be off."""
    return tuple(_seat_move(seat, target, at_reset) for seat in seats)


def _seat_move(seat: Seat, target: Template, at_reset: bool) -> SeatMove:
    if seat.fault:
        return SeatMove(seat=seat, outcome=Outcome.UNKNOWN, reason=seat.fault)
    moves = seat_volume_moves(seat, target)
    if not moves:
        return SeatMove(seat=seat, outcome=Outcome.UNCHANGED)
    if not at_reset and seat.power is not Power.OFF:
        return SeatMove(seat=seat, outcome=Outcome.SKIPPED, reason="it runs: stop it first")
    return SeatMove(seat=seat, moves=moves)


def seat_volume_moves(seat: Seat, target: Template) -> tuple[Rebase, ...]:
    """Of the volumes that do not name this version yet."""
    goldens = {golden.labels.disk: golden for golden in target.volumes}
    return tuple(
        _move(volume, goldens[volume.labels.disk], target.version)
        for volume in seat.volumes
        if volume.labels.disk in goldens
        and volume.labels.baseline != goldens[volume.labels.disk].uuid
    )


def _move(volume: Volume[SeatLabels], golden: Volume, version: int) -> Rebase:
    labels = volume.labels
    content = labels.content_version or labels.version
    going = replace(
        labels,
        baseline=golden.uuid,
        version=version,
        content_version=0 if content == version else content,
    )
    return Rebase(volume=volume, golden=golden, labels=going)
