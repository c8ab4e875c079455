"""Everything that the server may ask of a host, by name: (context, JSON arguments) -> document.

Arguments come from the unprivileged side: each is checked again where it is used, in ``service``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from pizarra.engine.power import each_seat
from pizarra.engine.recovery import ensure_startable
from pizarra.errors import BadInput, PizarraError
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import Power, Seat, StorageKind
from pizarra.model.labels import Firmware
from pizarra.model.outcome import Mode, Outcome, Report, SeatOutcome
from pizarra.model.policy import After, ResetBy
from pizarra.model.sentence import Sentence
from pizarra.model.sizes import MIB
from pizarra.server import uploads
from pizarra.service import checkpoints, classrooms, templates, verbs
from pizarra.service.claims import claiming_seats
from pizarra.service.context import Context
from pizarra.service.creation import create
from pizarra.service.recover import recover
from pizarra.service.undo import undo

Arguments = Mapping[str, Any]
Document = dict[str, Any]
UseCase = Callable[[Context, Arguments], Document]


def _over_seats(verb: Callable[..., Report]) -> UseCase:
    def use_case(context: Context, arguments: Arguments) -> Document:
        return verb(context, arguments["classroom"], arguments.get("numbers")).to_json()

    return use_case


def _reset(context: Context, arguments: Arguments) -> Document:
    return verbs.reset(
        context,
        arguments["classroom"],
        arguments.get("numbers"),
        mode=Mode(arguments["mode"]) if arguments.get("mode") else None,
        after=After(arguments["after"]) if arguments.get("after") else None,
        by=ResetBy(arguments["by"]),
    ).to_json()


def _checkpoint(verb: Callable[..., Report]) -> UseCase:
    def use_case(context: Context, arguments: Arguments) -> Document:
        name, numbers = arguments["checkpoint"], arguments.get("numbers")
        return verb(context, arguments["classroom"], name, numbers).to_json()

    return use_case


def _hand_out(context: Context, arguments: Arguments) -> Document:
    return checkpoints.hand_out(
        context, arguments["classroom"], arguments["checkpoint"], int(arguments["source"]),
        arguments.get("numbers"),
    ).to_json()  # fmt: skip


def _create(context: Context, arguments: Arguments) -> Document:
    kind = arguments.get("storage")
    spec = ClassroomSpec(
        name=arguments["classroom"],
        template=arguments["template"],
        seats=int(arguments["seats"]),
        memory_bytes=int(arguments.get("memory_mib") or 2048) * MIB,
        vcpus=int(arguments.get("vcpus") or 2),
        network=arguments.get("network") or "isolated",
        storage=StorageKind(kind) if kind else None,
        vg=arguments.get("vg") or "",
        identify=bool(arguments.get("identify")),
        warm=bool(arguments.get("warm")),
    )
    return create(context, spec).to_json()


def _freeze(context: Context, arguments: Arguments, *, freeze: bool) -> Document:
    """Eyes on me: every machine that runs stands still, or goes on."""
    compute = context.host.compute
    verb = "freeze" if freeze else "unfreeze"

    def act(seat: Seat) -> SeatOutcome:
        wanted = Power.RUNNING if freeze else Power.PAUSED
        if seat.power is not wanted:
            return SeatOutcome(seat=seat.name, outcome=Outcome.UNCHANGED)
        if freeze:
            compute.pause(seat.domain_uuid)
        else:
            ensure_startable(context.host, seat)  # a hot reset may have been cut off in it
            compute.resume(seat.domain_uuid)
        return SeatOutcome(seat=seat.name, outcome=Outcome.DONE)

    with claiming_seats(context, arguments["classroom"], arguments.get("numbers"), verb) as seats:
        outcomes = each_seat(context.host, verb, seats, act, context.emit)
    return Report(
        classroom=arguments["classroom"], verb=verb, mode=None, elapsed_s=0, seats=outcomes
    ).to_json()


def _recover(context: Context, arguments: Arguments) -> Document:
    _ = arguments
    return {"verb": "recover", "classrooms": [one.to_json() for one in recover(context)]}


def _delete_template(context: Context, arguments: Arguments) -> Document:
    templates.delete(context, arguments["template"], version=int(arguments.get("version") or 0))
    return {"verb": "template delete", "template": arguments["template"]}


def _import_template(context: Context, arguments: Arguments) -> Document:
    kind = arguments.get("storage")
    machine = templates.MachineSource(
        firmware=Firmware(arguments.get("firmware") or Firmware.BIOS),
        tpm=bool(arguments.get("tpm")),
    )
    folder = context.host.settings.server_folder
    with uploads.opening(folder, UUID(arguments["upload"])) as path:
        try:
            template = templates.import_template(
                context,
                arguments["template"],
                templates.source_of_file(path),
                machine=machine,
                kind=StorageKind(kind) if kind else None,
                vg=arguments.get("vg") or "",
                new_version=bool(arguments.get("new_version")),
            )
        except PizarraError as error:
            if "path" in error.facts:
                error.facts["path"] = Sentence("The upload")
            raise
    return {"verb": "template import", "made": templates.template_json(template)}


USE_CASES: dict[str, UseCase] = {
    "start": _over_seats(verbs.start),
    "stop": lambda context, a: verbs.stop(
        context, a["classroom"], a.get("numbers"), grace_s=a.get("grace")
    ).to_json(),
    "reset": _reset,
    "undo": _over_seats(undo),
    "verify": lambda context, a: verbs.verify(
        context, a["classroom"], a.get("numbers"), deep=bool(a.get("deep"))
    ).to_json(),
    "freeze": lambda context, arguments: _freeze(context, arguments, freeze=True),
    "unfreeze": lambda context, arguments: _freeze(context, arguments, freeze=False),
    "checkpoint save": lambda context, a: checkpoints.save(
        context, a["classroom"], a["checkpoint"], a.get("numbers"), ram=bool(a.get("ram"))
    ).to_json(),
    "checkpoint restore": _checkpoint(checkpoints.restore),
    "checkpoint delete": _checkpoint(checkpoints.delete),
    "checkpoint hand-out": _hand_out,
    "classroom create": _create,
    "classroom delete": lambda context, a: classrooms.delete(context, a["classroom"]).to_json(),
    "classroom resize": lambda context, a: classrooms.resize(
        context, a["classroom"], seats=int(a["seats"])
    ).to_json(),
    "template import": _import_template,
    "template delete": _delete_template,
    "recover": _recover,
}


def perform(context: Context, name: str, arguments: Arguments) -> Document:
    """Raises PizarraError: BadInput for what cannot be."""
    use_case = USE_CASES.get(name)
    if use_case is None:
        raise BadInput("There is no use case {name!r}.", name=name)
    try:
        return use_case(context, arguments)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            "The arguments of {name} cannot be: {why}.", name=name, why=repr(error)
        ) from error
