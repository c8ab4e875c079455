"""docs/performance.png from build/bench.json: ours beside the others, on a logarithmic scale."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

_OURS, _THEIRS = "#0b7a75", "#b9b4a7"


def draw(document: dict[str, Any], target: Path) -> None:
    """One bar for ours and one for each other way; a group for each series that has any."""
    labels, values, colours = [], [], []
    for series in document["series"]:
        if not series["versus"]:
            continue
        size = f"{series['n']} {series['unit']}"
        labels.append(f"{series['name']} ({size}): Pizarra")
        values.append(series["per_seat_ms"]["median"])
        colours.append(_OURS)
        for other, theirs in series["versus"].items():
            labels.append(other)
            values.append(theirs["median"])
            colours.append(_THEIRS)
    figure, axes = pyplot.subplots(figsize=(9, 0.32 * len(labels) + 1.2))
    bars = axes.barh(labels_unique(labels), values, color=colours)
    axes.bar_label(bars, fmt="%.4g", padding=3, fontsize=8)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds a seat, logarithmic; one run, one machine")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    figure.tight_layout()
    figure.savefig(target, dpi=130)


def labels_unique(labels: list[str]) -> list[str]:
    """Bars of one label would lie on each other: the same words, invisibly different."""
    return [label + "\u200b" * index for index, label in enumerate(labels)]


if __name__ == "__main__":
    source, picture = map(Path, sys.argv[1:])
    draw(json.loads(source.read_text(encoding="utf-8")), picture)
