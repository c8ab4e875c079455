"""`make powercut N=20`: cut the whole host off so often, and say what was found each time.

Half of the cuts kill the lab at a named step, or at a moment that nobody chose, and some of these
again in the `recover` that follows; the others are true losses of power: a disk rebuilt from the
log of its writes, without those that were not flushed. Both kinds go on side by side, a lab each.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.machine import disk_kept
from lab.places import REPO
from lab.powercut import log_writes
from lab.powercut.boots import Heard, booted, copied, emptied, logged
from lab.session import signals_end_us

WORK = REPO / "build/powercut"
ANY = "at any moment"
INSIDE = ".venv/bin/python -m lab.powercut.inside"
# what a cut may fall before: the text of the flight record
STEPS = {
    "reset": ("DEV_SUSPEND", "TABLE_LOAD", "create_snap", "delete", "reserve_metadata_snap",
              "release_metadata_snap", ANY),
    "undo": ("DEV_SUSPEND", "TABLE_LOAD", "create_snap", "delete", ANY),
    "create": ("lvm", "libvirt define", ANY),
    "delete": ("libvirt undefine", "lvm", ANY),
    "adopt": ("lvm", "libvirt redefine", ANY),
}  # fmt: skip
ACTS = ("reset", "undo", "delete", "reset", "create", "adopt")
_AGAIN = 1 / 3  # so many of the kills are followed by one of the recover after it
_BAD = ("dirty_seen_as_clean", "lost", "leaks", "second_recover_changed")


class Findings:
    """All cuts so far."""

    def __init__(self, foreign: dict[str, str]) -> None:
        self.foreign = foreign
        self.phases: Counter[str] = Counter()
        self.bad: Counter[str] = Counter()
        self.unknown = 0
        self.past_the_end = 0
        self.lock = threading.Lock()

    def add(self, where: str, judged: dict[str, Any]) -> None:
        """One cut, and what was found after it."""
        with self.lock:
            self._add(where, judged)

    def _add(self, where: str, judged: dict[str, Any]) -> None:
        self.phases[where] += 1
        number = sum(self.phases.values())
        for kind in _BAD:
            self.bad[kind] += len(judged[kind])
        self.unknown += len(judged["unknown"])
        foreign_changed = judged["foreign"] != self.foreign
        self.bad["foreign_changed"] += foreign_changed
        wrong = [f"{kind}: {judged[kind]}" for kind in _BAD if judged[kind]]
        wrong += ["a foreign volume changed"] if foreign_changed else []
        state = f"{judged['original']:>2} of {judged['seats']:>2} original"
        print(f"{number:>4}  {where:<44} {state:<19} {'; '.join(wrong) or 'well'}", flush=True)

    def document(self, thin_check: str) -> dict[str, Any]:
        """build/powercut.json."""
        with self.lock:
            return self._document(thin_check)

    def _document(self, thin_check: str) -> dict[str, Any]:
        return {
            "cuts": sum(self.phases.values()),
            "phases": dict(sorted(self.phases.items())),
            "lost": self.bad["lost"],
            "dirty_seen_as_clean": self.bad["dirty_seen_as_clean"],
            "leaks": self.bad["leaks"],
            "second_recover_changed": self.bad["second_recover_changed"],
            "foreign_changed": self.bad["foreign_changed"],
            "unknown": self.unknown,
            "past_the_end": self.past_the_end,
            "thin_check": thin_check or "clean",
        }


def main() -> int:
    parser = argparse.ArgumentParser(prog="powercut", description=__doc__)
    parser.add_argument("n", type=int, help="how many cuts")
    parser.add_argument("--seed", type=int, default=2014)
    parser.add_argument("--act", choices=STEPS, help="cut into this one only")
    arguments = parser.parse_args()
    emptied(WORK)
    base = WORK / "base.img"
    print("powercut: making a class of six, once", flush=True)
    told = booted(disk_kept(base), f"{INSIDE} prepare {' '.join(STEPS)}").told
    foreign = next(line["sums"] for line in told if line["what"] == "foreign")
    calm = {line["act"]: line for line in told if line["what"] == "ended"}
    findings = Findings(foreign)
    print(f"{'cut':>4}  {'before':<44} {'after recover':<19} found", flush=True)
    kills = (arguments.n + 1) // 2
    turns = (arguments.act,) if arguments.act else ACTS
    thin_check = "not run: the cuts were ended before"
    try:
        with signals_end_us():
            seed = arguments.seed
            lost = beside(lambda: losses(findings, base, arguments.n - kills, seed, turns))
            thin_check = killed(findings, base, kills, seed, calm, turns, lost)
            lost.result()
    finally:  # what was seen until somebody lost patience counts too
        document = findings.document(thin_check)
        text = json.dumps(document, indent=2)
        (REPO / "build/powercut.json").write_text(text + "\n", encoding="utf-8")
        print(text, flush=True)
    bad = sum(document[kind] for kind in (*_BAD, "foreign_changed"))
    return 1 if bad or thin_check or document["cuts"] < arguments.n else 0


def beside(work: Callable[[], None]) -> Future[None]:
    """In a thread that ends with us, however we end; so does the lab that it started."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            work()
            future.set_result(None)
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def killed(
    findings: Findings,
    base: Path,
    count: int,
    seed: int,
    calm: dict[str, Any],
    turns: Sequence[str],
    lost: Future[None],
) -> str:
    """The lab's QEMU dies; the next boot judges, and begins what the next kill falls into."""
    chance = random.Random(f"kills {seed}")
    disk = copied(base, WORK / "killed.img")
    where = ""
    for turn in range(count + 1):
        if lost.done():
            lost.result()  # whatever stopped the losses stops the kills
        if turn == count:
            heard = booted(disk_kept(disk), f"{INSIDE} end")
        else:
            act = turns[turn % len(turns)]
            step = STEPS[act][turn // len(turns) % len(STEPS[act])]
            heard = _cut(disk, act, step, chance, calm[act])
        if where and (judged := heard.of("judged")):
            findings.add(where, judged)
        if turn < count:
            where = f"{act}: {step}" if heard.cut else f"{act}: when it had ended"
            findings.past_the_end += not heard.cut
            if heard.cut and chance.random() < _AGAIN:
                where += _recover_cut(disk, chance, calm["recover"])
    return str((heard.of("thin_check") or {})["says"])


def _cut(disk: Path, act: str, step: str, chance: random.Random, calm: dict[str, Any]) -> Heard:
    """``calm`` is what the act did when nothing befell it."""
    if step == ANY:
        after_s = chance.uniform(0, calm["took_s"])
        return booted(disk_kept(disk), f"{INSIDE} {act}", cut_after_s=after_s)
    times = sum(step in line for line in calm["did"])
    return booted(disk_kept(disk), f"{INSIDE} {act} '{step} #{chance.randint(1, times)}'")


def _recover_cut(disk: Path, chance: random.Random, calm: dict[str, Any]) -> str:
    """Recover is cut too: ``calm`` is one that has nothing to mend, and does less."""
    step = chance.randint(1, len(calm["did"]) + 8)
    heard = booted(disk_kept(disk), f"{INSIDE} recover '#{step}'")
    return "; again in recover" if heard.cut else "; recovered"


def losses(findings: Findings, base: Path, count: int, seed: int, turns: Sequence[str]) -> None:
    """The acts in turn, each recorded when it first comes; the disk as it was on at one of its
    entries, unflushed writes gone: all of them, or some."""
    chance = random.Random(f"losses {seed}")
    acts = [act for act in STEPS if act in turns]
    known: dict[str, Recording] = {}
    for turn in range(count):
        act = acts[turn % len(acts)]
        record = known.get(act) or recorded(base, act)
        known[act] = record
        some = chance if turn // len(acts) % 2 else None
        # what is lost wholly is the same wherever the cut falls between two flushes
        place = chance.choice(record.within if some else record.flushes or record.within) + 1
        disk = copied(base, WORK / "lost.img")
        log_writes.replayed(record.log, disk, log_writes.survivors(record.entries, place, some))
        judged = booted(disk_kept(disk), f"{INSIDE} judge").of("judged")
        assert judged is not None
        quarter = 1 + int((place - 1 - record.within[0]) / len(record.within) * 4)
        how = "some unflushed writes" if some else "all unflushed writes"
        findings.add(f"{act}: {how} lost in {quarter}/4", judged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Every write and flush of one boot, of which those ``within`` are the act's."""

    log: Path
    entries: list[log_writes.Entry]
    within: list[int]

    @property
    def flushes(self) -> list[int]:
        """Those of the act."""
        return [n for n in self.within if self.entries[n].is_flush]


def recorded(base: Path, act: str) -> Recording:
    """Nothing befalls it."""
    log, disk = WORK / f"{act}.log", copied(base, WORK / "recorded.img")
    marks = dict(booted(logged(disk, log), f"{INSIDE} {act}", log=log).marks)
    entries = list(log_writes.entries(log))
    within = [n for n, one in enumerate(entries) if marks["began"] <= one.at <= marks["ended"]]
    record = Recording(log=log, entries=entries, within=within)
    print(f"      {act}: {len(within)} writes, {len(record.flushes)} flushes", flush=True)
    return record


sys.exit(main())
