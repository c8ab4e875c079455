"""`make bench`, or `make bench SERIES="plan disks.thin"`: measure, show, write bench.json."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench import classroom, cli, disks_thick, disks_thin, plan, scale
from bench.series import Series, say
from pizarra.system.kvm import kvm_works

SERIES: dict[str, Callable[[], Iterator[Series]]] = {
    "plan": plan.measured,
    "disks.thin": disks_thin.measured,
    "disks.thick": disks_thick.measured,
    "scale": scale.measured,
    "class": classroom.measured,
    "cli": cli.measured,
}


def main() -> int:
    """Measure what is asked for; what was measured is kept when a later series fails."""
    wanted = sys.argv[1:] or list(SERIES)
    if unknown := [name for name in wanted if name not in SERIES]:
        say(f"there is no series {', '.join(unknown)}; there is: {', '.join(SERIES)}")
        return 2
    found: list[Series] = []
    target = Path(os.environ.get("LAB_OUT", "build")) / "bench.json"
    for name in wanted:
        for series in SERIES[name]():
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
    """Within 80 columns."""
    lines = [
        f"{'series':<16} {'n':>6} {'ms a seat':>10}  {'against':<15} {'ms a seat':>10} {'ratio':>8}"
    ]
    for series in found:
        start = f"{series.name:<16} {series.n:>6} {series.median_ms:>10.2f}"
        if not series.others_ms:
            lines.append(start)
        for other in series.others_ms:
            theirs = series.median_ms * series.ratio(other)
            lines.append(f"{start}  {other:<15} {theirs:>10.1f} {series.ratio(other):>7.1f}x")
            start = " " * len(start)
    return "\n".join(lines)


sys.exit(main())
