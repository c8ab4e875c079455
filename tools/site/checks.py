"""What ``pizarra host check`` may say, read from the source of its judges."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from pizarra.engine.fitness import findings
from tools.site.markdown import code, plain, table

_FOLDER = Path(findings.__file__).parent
_BAD = {"finding": 1, "to_run": 1, "to_install": 1}  # which argument is the name of the check
_MARK = "N_"


def check_pages() -> dict[str, str]:
    """One table: the name of each check, and what it says when something is wrong."""
    named = sorted(checks().items(), key=lambda one: (not one[0], one))
    rows = [
        [code(name) if name and not n else "", plain(text)]
        for name, texts in named
        for n, text in enumerate(texts)
    ]
    return {"host-checks": table(("Check", "What it may say"), rows)}


def checks() -> dict[str, list[str]]:
    """The texts of each check that is not well. ``thin-pool VG/POOL`` is ``thin-pool``; the name
    is empty where a check is made with a text from elsewhere."""
    found: dict[str, list[str]] = {}
    for module in sorted(_FOLDER.glob("judge_*.py")):
        for part in ast.parse(module.read_text(encoding="utf-8")).body:
            for name, text in _texts(part):
                if text not in found.setdefault(name, []):
                    found[name].append(text)
    return found


def _texts(part: ast.stmt) -> Iterator[tuple[str, str]]:
    """Pairs of a check and a text: a text belongs to the next call that makes a finding."""
    nodes = sorted(
        (one for one in ast.walk(part) if isinstance(one, ast.Call | ast.Assign)),
        key=lambda one: (one.end_lineno or 0, one.end_col_offset or 0),
    )
    texts, names = list[str](), dict[str, str]()
    for node in nodes:
        if isinstance(node, ast.Assign):
            names |= _names(node)
        elif (called := _called(node)) == _MARK:
            texts.append(ast.literal_eval(node.args[0]))
        elif called in _BAD:
            name = _name(node.args[_BAD[called]], names)
            yield from ((name, text) for text in texts)
            texts = []
        elif called == "good":
            texts = []
    yield from (("", text) for text in texts)


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _names(assign: ast.Assign) -> dict[str, str]:
    """The variables that an assignment sets to a text: ``level, check = LEVEL, "kvm"``."""
    target, value = assign.targets[0], assign.value
    pairs = (
        zip(target.elts, value.elts, strict=True)
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
        else [(target, value)]
    )
    return {one.id: text for one, given in pairs
            if isinstance(one, ast.Name) and (text := _name(given, {}))}  # fmt: skip


def _name(node: ast.expr, names: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.JoinedStr):
        node = node.values[0]
    text = node.value if isinstance(node, ast.Constant) else ""
    return text.strip() if isinstance(text, str) else ""
