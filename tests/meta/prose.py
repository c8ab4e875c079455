"""Sentences and links of our documents, for tests.

A document is cut into blocks, and a block into sentences:

- Code blocks, tables and HTML comments are left out.
- A heading, a paragraph and an item of a list are a block each.
- A sentence ends at ``.``, ``!`` or ``?`` when white space follows, and at the end of its block. A
  closing quote, bracket or asterisk may stand between. A colon and a semicolon end no sentence.
- A code span counts as one word, and a link and a picture as the words that a reader sees. Signs
  that stand alone, such as a dash or an arrow, are no words.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^ *(```|~~~)")
_NEW_BLOCK = re.compile(r"^\s*([-*+]|\d+\.|#+|>)\s+")
_END = re.compile(r"(?<=[.!?])[\"')\]*_]*\s+")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_CODE = re.compile(r"(`+)(.+?)\1")
_COMMENT = re.compile(r"<!--.*?-->", re.S)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a document, and the line on which its block begins."""

    line: int
    text: str

    @property
    def words(self) -> int:
        """How many words there are."""
        return sum(any(letter.isalnum() for letter in word) for word in self.text.split())


def read_sentences(path: Path) -> Iterator[Sentence]:
    """All sentences of a Markdown file, in order."""
    for line, block in _blocks(path.read_text(encoding="utf-8")):
        for text in _END.split(_as_seen(block)):
            if text.strip():
                yield Sentence(line, text.strip())


def docstring_sentences(module: Path) -> Iterator[Sentence]:
    """The sentences of all docstrings of a Python module."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, documented) and (text := ast.get_docstring(node)):
            for line, block in _blocks(text.replace("``", "`")):
                for one in _END.split(_as_seen(block)):
                    yield Sentence(getattr(node, "lineno", 0) + line, one)


def read_links(path: Path) -> list[str]:
    """The targets of all links and pictures of a Markdown file, outside code."""
    text = _CODE.sub("code", re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.S | re.M))
    return re.findall(r"\]\(([^)\s]+)\)", text)


def is_link_valid(link: str, path: Path) -> bool:
    """Whether the link of the document ``path`` leads to a file, and to a heading of that file.

    Addresses on the Web are not looked up.
    """
    if "://" in link:
        return True
    name, _, heading = link.partition("#")
    target = path.parent / name if name else path
    return target.exists() and (not heading or heading in _anchors(target))


def _anchors(path: Path) -> set[str]:
    """The names under which the headings of a document can be linked to."""
    lines = path.read_text(encoding="utf-8").splitlines()
    headings = [line.lstrip("# ").lower() for line in lines if line.startswith("#")]
    return {re.sub(r"[^\w -]", "", one).replace(" ", "-") for one in headings}


def _blocks(document: str) -> Iterator[tuple[int, str]]:
    """Line of the first word, and the words, of each block."""
    began, lines, in_code = 0, list[str](), False
    text = _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), document)
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        is_fence = bool(_FENCE.match(line))
        is_left_out = is_fence or in_code or line.lstrip().startswith("|")
        in_code ^= is_fence
        if lines and (is_left_out or not line.strip() or _NEW_BLOCK.match(line)):
            yield began, " ".join(lines)
            lines = []
        if not is_left_out and line.strip():
            began = began if lines else number
            lines.append(_NEW_BLOCK.sub("", line).strip())


def _as_seen(block: str) -> str:
    """Markdown as words. A code span becomes one word without a full stop."""
    return _LINK.sub(r"\1", _CODE.sub("code", block)).replace("**", "")
