"""`make bench`, or `make bench SERIES="plan disks.thin"`: measure, show, write bench.json."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench import classroom, cli, disks_thick, disks_thin, plan, profile, scale
from bench.series import Series, say
from pizarra.model.outcome import Mode
from pizarra.system.kvm import kvm_works

_Measure = Callable[[], Iterator[Series]]
SERIES: dict[str, _Measure] = {
    "plan": plan.measure,
    "disks.thin": disks_thin.measure,
    "disks.thin.profile": profile.measure,
    "disks.thick": disks_thick.measure,
    "scale": scale.measure,
    "class": partial(classroom.measure, Mode.COLD, Mode.HOT, Mode.WARM),
    "cli": cli.measure,
}
PARTS: dict[str, _Measure] = {  # of the above, for those in a hurry
    "disks.thin.limit": disks_thin.measure_limit,
    "class.cold": partial(classroom.measure, Mode.COLD),
    "class.hot": partial(classroom.measure, Mode.HOT),
    "class.warm": partial(classroom.measure, Mode.WARM),
}


def main() -> int:
    """Measure what is asked for; what was measured is kept when a later series fails."""
    wanted = sys.argv[1:] or list(SERIES)
    known = SERIES | PARTS
    if unknown := [name for name in wanted if name not in known]:
        say(f"there is no series {', '.join(unknown)}; there is: {', '.join(known)}")
        return 2
    found: list[Series] = []
    target = Path(os.environ.get("LAB_OUT", "build")) / "bench.json"
    for name in wanted:
        for series in known[name]():
            found.append(series)
            target.write_text(json.dumps(_document(found), indent=2) + "\n", encoding="utf-8")
    print(table(found), flush=True)
    return 0


def _document(found: list[Series]) -> dict[str, Any]:
    host = {
        "kernel": platform.release(),
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "guests": "KVM" if kvm_works() else "software emulation",
    }
    return {"series": [series.to_json() for series in found], "host": host}


def table(found: list[Series]) -> str:
    """A ratio is theirs to ours; against a bound, which we cannot beat, ours to theirs."""
    ms = "ms a seat"
    lines = [f"{'series':<26} {'n':>6} {ms:>10}  {'against':<15} {ms:>10} {'ratio':>10}"]
    for series in found:
        start = f"{series.name:<26} {series.n:>6} {series.median_ms:>10.2f}"
        if not series.others_ms:
            lines.append(start)
        for other in series.others_ms:
            theirs = series.median_ms * series.ratio(other)
            bound = other in ("limit", "floor")
            ratio = 1 / series.ratio(other) if bound else series.ratio(other)
            says = f"{ratio:.2f} of it" if bound else f"{ratio:.1f}x"
            lines.append(f"{start}  {other:<15} {theirs:>10.1f} {says:>10}")
            start = " " * len(start)
        for phase, phase_ms in series.notes.get("phases_ms", {}).items():
            lines.append(f"{'  ' + phase:<33} {phase_ms:>10.2f}")
    return "\n".join(lines)


sys.exit(main())
