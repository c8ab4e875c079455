"""Two versions of Pizarra against each other, in turns in one lab: is a rewind slower than before?

    make lab-run CMD='.venv/bin/python -m bench.trees OLDER-TREE'

OLDER-TREE is a checkout of the other version. Each version rewinds thirty seats of its own, which
it made itself, in a process of its own. The order changes from round to round, and udev has nothing
to do when a clock starts. Compare within one run only.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.series import say

ROUNDS = 15
HERE = Path(__file__).resolve().parent
READY = "ready"


def main() -> int:
    """Print each round, then the medians and their ratio."""
    trees = {"older": Path(sys.argv[1]).resolve(), "this": HERE.parent}
    took: dict[str, list[float]] = {name: [] for name in trees}
    with ExitStack() as stack:
        versions = {name: stack.enter_context(_version(name, tree)) for name, tree in trees.items()}
        for number in range(ROUNDS + 1):
            for name in sorted(trees, reverse=number % 2 == 0):
                ms = _ask(versions[name])
                if number:  # the first round warms up
                    took[name].append(ms)
            if number:
                say(f"round {number}: " + ", ".join(f"{n} {took[n][-1]:.1f}" for n in trees))
    older, this = (statistics.median(took[name]) for name in trees)
    print(f"ms a seat, medians of {ROUNDS} rounds: older {older:.2f}, this {this:.2f}")
    ratios = [mine / theirs for mine, theirs in zip(took["this"], took["older"], strict=True)]
    print(
        f"this to older: {this / older:.3f}; median of the rounds {statistics.median(ratios):.3f}"
    )
    return 0


@contextmanager
def _version(name: str, tree: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of one version, with its seats made."""
    path = os.pathsep.join([str(tree / "src"), str(tree)])
    command = [sys.executable, "-P", str(HERE / "tree_seats.py"), name]
    child = subprocess.Popen(
        command,
        cwd=tree,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == READY, f"{tree} did not make its seats"
        yield child
    finally:
        child.communicate()  # it removes its seats when its input ends


def _ask(child: subprocess.Popen[str]) -> float:
    """Milliseconds a seat of one rewind."""
    assert child.stdin is not None and child.stdout is not None
    print("rewind", file=child.stdin, flush=True)
    return float(child.stdout.readline())


if __name__ == "__main__":
    sys.exit(main())
