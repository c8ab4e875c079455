"""`make powercut N=20`: cut the whole host off N times, and print what each cut left.

Half of the cuts kill the lab, at a named step or at a random moment. Some of these labs are killed
again in the `recover` that follows. The other cuts are losses of power: a disk is rebuilt from the
log of its writes, without the writes that were not flushed. Both kinds run side by side.
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

from lab.machine import lasting_disk
from lab.places import REPO
from lab.powercut import log_writes
from lab.powercut.boots import BootLog, boot_lab, copy_disk, disk_with_write_log, make_empty_folder
from lab.session import exiting_on_signals

WORK = REPO / "build/powercut"
ANY = "at any moment"
INSIDE = ".venv/bin/python -m lab.powercut.inside"
# steps before which a cut may fall: texts of the flight record
STEPS = {
    "reset": ("DEV_SUSPEND", "TABLE_LOAD", "create_snap", "delete", "reserve_metadata_snap",
              "release_metadata_snap", "journal", ANY),
    "undo": ("DEV_SUSPEND", "TABLE_LOAD", "create_snap", "delete", "journal", ANY),
    "create": ("lvm", "libvirt define", ANY),
    "delete": ("libvirt undefine", "lvm", ANY),
    "adopt": ("lvm", "libvirt redefine", ANY),
}  # fmt: skip
ACTS = ("reset", "undo", "delete", "reset", "create", "adopt")
_AGAIN = 1 / 3  # share of the kills after which `recover` is killed too
_BAD = ("dirty_seen_as_clean", "lost", "leaks", "second_recover_changed")


class Findings:
    """The results of all cuts so far."""

    def __init__(self, foreign: dict[str, str]) -> None:
        self.foreign = foreign
        self.phases: Counter[str] = Counter()
        self.bad: Counter[str] = Counter()
        self.unknown = 0
        self.past_the_end = 0
        self.lock = threading.Lock()

    def add(self, where: str, judged: dict[str, Any]) -> None:
        """Add one cut and its verdict, and print them."""
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
        """The content of build/powercut.json."""
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
    make_empty_folder(WORK)
    base = WORK / "base.img"
    print("powercut: making a class of six, once", flush=True)
    messages = boot_lab(lasting_disk(base), f"{INSIDE} prepare {' '.join(STEPS)}").messages
    foreign = next(line["sums"] for line in messages if line["what"] == "foreign")
    calm = {line["act"]: line for line in messages if line["what"] == "ended"}
    findings = Findings(foreign)
    print(f"{'cut':>4}  {'before':<44} {'after recover':<19} found", flush=True)
    kills = (arguments.n + 1) // 2
    turns = (arguments.act,) if arguments.act else ACTS
    thin_check = "not run: the cuts were ended before"
    try:
        with exiting_on_signals():
            seed = arguments.seed
            lost = run_beside(lambda: run_losses(findings, base, arguments.n - kills, seed, turns))
            thin_check = run_kills(findings, base, kills, seed, calm, turns, lost)
            lost.result()
    finally:  # the cuts before an interruption count too
        document = findings.document(thin_check)
        text = json.dumps(document, indent=2)
        (REPO / "build/powercut.json").write_text(text + "\n", encoding="utf-8")
        print(text, flush=True)
    bad = sum(document[kind] for kind in (*_BAD, "foreign_changed"))
    return 1 if bad or thin_check or document["cuts"] < arguments.n else 0


def run_beside(work: Callable[[], None]) -> Future[None]:
    """Run ``work`` in a thread. The thread and its lab end with this process."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            work()
            future.set_result(None)
        except BaseException as error:  # noqa: BLE001 - the result raises it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def run_kills(
    findings: Findings,
    base: Path,
    count: int,
    seed: int,
    calm: dict[str, Any],
    turns: Sequence[str],
    lost: Future[None],
) -> str:
    """Kill the lab ``count`` times; each next boot judges. Returns thin_check's errors."""
    chance = random.Random(f"kills {seed}")
    disk = copy_disk(base, WORK / "killed.img")
    where = ""
    for turn in range(count + 1):
        if lost.done():
            lost.result()  # an error of the losses stops the kills
        if turn == count:
            seen = boot_lab(lasting_disk(disk), f"{INSIDE} end")
        else:
            act = turns[turn % len(turns)]
            step = STEPS[act][turn // len(turns) % len(STEPS[act])]
            seen = _cut(disk, act, step, chance, calm[act])
        if where and (judged := seen.of("judged")):
            findings.add(where, judged)
        if turn < count:
            where = f"{act}: {step}" if seen.cut else f"{act}: when it had ended"
            findings.past_the_end += not seen.cut
            if seen.cut and chance.random() < _AGAIN:
                where += _cut_recover(disk, chance, calm["recover"])
    return str((seen.of("thin_check") or {})["says"])


def _cut(disk: Path, act: str, step: str, chance: random.Random, calm: dict[str, Any]) -> BootLog:
    """Cut the lab off in an act. ``calm`` is the report of an act that was not cut."""
    if step == ANY:
        after_s = chance.uniform(0, calm["took_s"])
        return boot_lab(lasting_disk(disk), f"{INSIDE} {act}", cut_after_s=after_s)
    times = sum(step in line for line in calm["did"])
    return boot_lab(lasting_disk(disk), f"{INSIDE} {act} '{step} #{chance.randint(1, times)}'")


def _cut_recover(disk: Path, chance: random.Random, calm: dict[str, Any]) -> str:
    """Cut recover off too. ``calm`` is the report of a recover that had little to do."""
    step = chance.randint(1, len(calm["did"]) + 8)
    seen = boot_lab(lasting_disk(disk), f"{INSIDE} recover '#{step}'")
    return "; again in recover" if seen.cut else "; recovered"


def run_losses(findings: Findings, base: Path, count: int, seed: int, turns: Sequence[str]) -> None:
    """Lose the power ``count`` times, in the acts by turns.

    Each act is recorded once. Its disk is rebuilt as it was at one entry of the record, without
    all or some of the writes that were not flushed.
    """
    chance = random.Random(f"losses {seed}")
    acts = [act for act in STEPS if act in turns]
    known: dict[str, Recording] = {}
    for turn in range(count):
        act = acts[turn % len(acts)]
        record = known.get(act) or record_boot(base, act)
        known[act] = record
        some = chance if turn // len(acts) % 2 else None
        # without all unflushed writes, the disk is equal wherever the cut falls between flushes
        place = chance.choice(record.within if some else record.flushes or record.within) + 1
        disk = copy_disk(base, WORK / "lost.img")
        log_writes.replay(record.log, disk, log_writes.survivors(record.entries, place, some))
        judged = boot_lab(lasting_disk(disk), f"{INSIDE} judge").of("judged")
        assert judged is not None
        quarter = 1 + int((place - 1 - record.within[0]) / len(record.within) * 4)
        how = "some unflushed writes" if some else "all unflushed writes"
        findings.add(f"{act}: {how} lost in {quarter}/4", judged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Every write and flush of one boot. ``within`` has the entries of the act."""

    log: Path
    entries: list[log_writes.Entry]
    within: list[int]

    @property
    def flushes(self) -> list[int]:
        """The flushes of the act."""
        return [n for n in self.within if self.entries[n].is_flush]


def record_boot(base: Path, act: str) -> Recording:
    """Record every write of an act that is not cut."""
    log, disk = WORK / f"{act}.log", copy_disk(base, WORK / "recorded.img")
    marks = dict(boot_lab(disk_with_write_log(disk, log), f"{INSIDE} {act}", log=log).marks)
    entries = list(log_writes.entries(log))
    within = [n for n, one in enumerate(entries) if marks["began"] <= one.at <= marks["ended"]]
    record = Recording(log=log, entries=entries, within=within)
    print(f"      {act}: {len(within)} writes, {len(record.flushes)} flushes", flush=True)
    return record


sys.exit(main())
