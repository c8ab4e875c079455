"""How ``lvm`` is asked, so that its answer depends on nothing but what is there.

lvm.conf(5) can change every report: the name of the command before each line, prefixes, separators,
fields that are left out when they are empty. It can also make a command do nothing. Each call says
all of that itself with ``--config``, which stands above every file and profile, and which each line
of LVM's shell takes too; ``process.environment`` passes no variable of LVM's on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from pizarra.errors import StorageFault

V = TypeVar("V", bound=BaseModel)
L = TypeVar("L", bound=BaseModel)

# LVM's own default of every setting that changes what a report looks like: lvmconfig(8)
PINNED = {
    "log/command_names": "0",
    "log/indent": "0",
    "log/prefix": '"  "',
    "log/report_command_log": "0",
    "log/silent": "0",
    "log/verbose": "0",
    "report/aligned": "1",
    "report/binary_values_as_numeric": "0",
    "report/buffered": "1",
    "report/columns_as_rows": "0",
    "report/compact_output": "0",
    "report/compact_output_cols": '""',
    "report/headings": "1",
    "report/list_item_separator": '","',
    "report/mark_hidden_devices": "1",
    "report/prefixes": "0",
    "report/quoted": "1",
}
# with another value LVM says that it did what was asked, and did nothing; or it does not wait
PINNED_TO_ACT = {"global/test": "0", "global/wait_for_locks": "1"}
_FORM = ("--reportformat", "json", "--units", "b", "--nosuffix")
PARTLY = 5  # ECMD_FAILED: of a report, that something could not be shown, and the rest is there


def pinned(argv: Sequence[str], devices: Sequence[str] = ()) -> list[str]:
    """The process for one command of LVM, whatever the host's files say. What matters comes first,
    for whoever reads the flight record. LVM sees only ``devices``, if any are named."""
    return ["lvm", *argv, "--config", _config(PINNED, devices)]


def pinned_lines(commands: Sequence[Sequence[str]], devices: Sequence[str] = ()) -> str:
    """The same for many commands on the standard input of LVM's shell, a line each. What these
    print is nobody's matter: the shell refuses ``log/report_command_log`` for a single command.

    No argument may have a blank or a quote: the shell knows no backslash.
    """
    assert not any({" ", "'", '"'} & {*part} for argv in commands for part in argv)
    config = _config({}, devices)
    return "".join(f"{' '.join(argv)} --config '{config}'\n" for argv in commands)


def _config(printing: Mapping[str, str], devices: Sequence[str]) -> str:
    """``--devices`` would be shorter; LVM 2.03.16 crashes with it in its shell."""
    these = {**printing, **PINNED_TO_ACT}
    if devices:
        allowed = (f'"a|^{re.escape(device)}$|"' for device in devices)
        these |= {"devices/use_devicesfile": "0", "devices/filter": _list(*allowed, '"r|.*|"')}
    return " ".join(f"{name}={value}" for name, value in these.items())


def _list(*values: str) -> str:
    return f"[{','.join(values)}]"


def report(kind: str, fields: str, *rest: str) -> list[str]:
    """``lvs``, ``vgs`` or ``pvs`` in JSON, with sizes in bytes: what ``rows`` reads."""
    return [kind, *_FORM, "-o", fields, *rest]


def full_report(vg_fields: str, seg_fields: str, *rest: str) -> list[str]:
    """All volume groups with the segments of their volumes: what ``read_groups`` reads."""
    wanted = (("vg", vg_fields), ("seg", seg_fields))
    unwanted = (("lv", "lv_name"), ("pv", "pv_name"), ("pvseg", "pv_name"))
    chosen = [("--configreport", kind, "-o", these) for kind, these in (*wanted, *unwanted)]
    return ["fullreport", *_FORM, *(word for words in chosen for word in words), *rest]


class _Rows(BaseModel):
    report: list[dict[str, list[dict[str, str]]]]


class _Report(BaseModel):
    report: list[dict[str, Any]]


class _Group(BaseModel, Generic[V, L]):
    vg: list[V]
    seg: list[L] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A volume group of which LVM told something that nobody here understands."""

    name: str
    where: str
    why: str


def _without_remarks(text: str) -> str:
    """LVM prints some remarks between the lines of a report: "Retrying metadata scan."."""
    return "\n".join(line for line in text.splitlines() if line.lstrip()[:1] in '{}[],"')


def rows(text: str) -> list[dict[str, str]]:
    """Of a report of one kind. Raises StorageFault."""
    try:
        found = _Rows.model_validate_json(_without_remarks(text)).report
    except ValidationError as error:
        raise _unreadable(error) from None
    return [row for part in found for rows_of_kind in part.values() for row in rows_of_kind]


def read_groups(
    text: str, vg: type[V], seg: type[L]
) -> tuple[list[tuple[V, list[L]]], list[Unreadable]]:
    """Each group with its segments, and those that cannot be read.

    Physical volumes of no group are a part of the report without a group; they are left out.
    Raises StorageFault for a text that is no report.
    """
    try:
        parts = _Report.model_validate_json(_without_remarks(text)).report
    except ValidationError as error:
        raise _unreadable(error) from None
    good: list[tuple[V, list[L]]] = []
    bad: list[Unreadable] = []
    model = _Group[vg, seg]  # type: ignore[valid-type]
    for part in parts:
        if not (name := _name(part)):
            continue
        try:
            group = model.model_validate(part)
        except ValidationError as error:
            where, why = _first(error)
            bad.append(Unreadable(name=name, where=where, why=why))
        else:
            good.append((group.vg[0], group.seg))
    return good, bad


def _name(part: dict[str, Any]) -> str:
    """Of the group; empty for what belongs to none."""
    match part.get("vg"):
        case [{"vg_name": str(name)}, *_]:
            return name
        case None | []:
            return ""
        case _:
            return "?"


def _first(error: ValidationError) -> tuple[str, str]:
    first = error.errors()[0]
    return "/".join(map(str, first["loc"])), first["msg"]


def _unreadable(error: ValidationError) -> StorageFault:
    where, why = _first(error)
    return StorageFault(
        "LVM's report cannot be read at {where}: {why}.",
        "Is it the LVM of Debian 12 or later? See: lvm version",
        where=where or "-",
        why=why,
    )
