"""The texts of the scripts, in the language of the page."""

from __future__ import annotations

import json

from django.utils.translation import gettext as _


def wall_words() -> str:
    """The texts of the wall. ``{n}`` and ``{of}`` are numbers, ``{s}`` seconds, ``{why}`` a
    reason."""
    return json.dumps(
        {
            "off": _("off"), "running": _("in use"), "paused": _("frozen"), "crashed": _("crashed"),
            "absent": _("machine is gone"), "original": _("original"), "changed": _("changed"),
            "not_original": _("not original"),
            "resetting": _("resetting"), "failed": _("failed"), "busy": _("busy"),
            "console": _("Console"), "reset": _("Reset"), "machine": _("Machine {n}"),
            "summary": _("{n} of {of} on, {original} original"),
            "selected": _("{n} selected"), "chosen": _("selected"),
            "reset_title": _("Put {n} machines back to their original state?"),
            "reset_one": _("Put machine {n} back to its original state?"),
            "on_now": _("Switched on now: {who}. What they did not save elsewhere goes."),
            "lately": _("Active in the last ten minutes: {who}."),
            "nobody_on": _("Nobody's machine is on."),
            "no_undo": _("This cannot be undone: {why}"),
            "can_undo": _("You can take it back for a day with Undo."),
            "put_right": _("Machines that somebody changed are put right: {who}."),
            "ram_goes": _("RAM that was saved goes; an undo brings it back: {who}."),
            "kept": _("Hardware that somebody changed stays: {who}."),
            "left_alone": _("Left alone: {who}. Their tiles say why."),
            "last_took": _("Last time it took {s} s."),
            "yes_reset": _("Reset"), "yes_stop": _("Stop"), "yes_save": _("Save"),
            "stop_title": _("Switch {n} machines off?"),
            "stop_one": _("Switch machine {n} off?"),
            "save_title": _("Save the present state of {n} machines under a name"),
            "save_one": _("Save the present state of machine {n} under a name"),
            "save_name": _("Name, such as lesson-3"),
            "progress": _("{n} of {of}"), "waiting": _("waiting for its turn"),
            "left": _("about {s} s left"),
            "result_reset": _("{n} of {of} original in {s} s."),
            "result": _("{n} of {of} done in {s} s."),
            "failed_some": _("{n} failed"), "why": _("Why?"), "retry": _("Retry those"),
            "undo": _("Undo"), "dismiss": _("Close"), "selection": _("Reset selection"),
            "eyes_title": _("Let {n} machines stand still?"),
            "eyes_one": _("Let machine {n} stand still?"),
            "eyes_message": _("A message for the students (or none)"),
            "class": _("Reset class"), "freeze": _("Eyes on me"), "unfreeze": _("Go on"),
            "halted": _("The host paused these machines: {who}"),
            "unreachable": _("The server does not answer. Trying again …"),
        }
    )  # fmt: skip


def console_words() -> str:
    """The texts of the console."""
    return json.dumps(
        {
            "connecting": _("Connecting …"),
            "again": _("The connection was lost. Trying again …"),
            "off": _("This machine is off."),
            "forbidden": _("This machine is not yours any more."),
            "reset_ask": _("Put this machine back to its original state? Your work on it goes."),
            "keeping": _("Keeping your work …"), "go_back": _("Go back to …"),
            "replace": _("No more can be kept. Forget the oldest and keep this instead?"),
            "back_ask": _("Go back to what you kept? What came after it goes."),
            "going_back": _("Going back …"),
            "resetting": _("Resetting …"), "starting": _("Switching on …"),
            "done": _("Done."), "failed": _("It did not work: {why}"),
            "minutes": _("{n} min left"), "over": _("The lesson is over"),
            "paste": _("Text to type on the machine"),
            "halted": _("Your machine: {why}. Ask your teacher."),
        }
    )  # fmt: skip


def upload_words() -> str:
    """The texts of an upload."""
    return json.dumps(
        {
            "sending": _("{sent} of {all}"), "importing": _("Making the template …"),
            "again": _("The connection was lost. Trying again …"),
            "cancelled": _("Cancelled; nothing of it stays."), "done": _("Done."),
        }
    )  # fmt: skip
