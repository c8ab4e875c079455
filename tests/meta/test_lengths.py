"""The limits for the length of modules and functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "lab", "bench", "demo", "tests")
MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60


def modules() -> Iterator[Path]:
    """All Python files of ours."""
    for folder in FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


def functions(module: Path) -> Iterator[tuple[str, int]]:
    """Name and length in lines of each function, without decorators."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_module_when_longer_than_the_limit_then_is_named_here() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert len(lengths) > 100, "the folders are not where this test looks"
    long = {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > MODULE_LINES_MAX}
    assert long == {}


def test_function_when_longer_than_the_limit_then_is_named_here() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{name}": lines
        for path in modules()
        for name, lines in functions(path)
        if lines > FUNCTION_LINES_MAX
    }
    assert long == {}
