"""Sentences of our documents, for a test of their length.

A document is cut into blocks, and a block into sentences:

- Code blocks, tables and HTML comments are left out.
- A heading, a paragraph and an item of a list are a block each.
- A sentence ends at ``.``, ``!`` or ``?`` when white space follows, and at the end of its block. A
  closing quote, bracket or asterisk may stand between. A colon and a semicolon end no sentence.
- A code span counts as one word, and a link and a picture as the words that a reader sees. Signs
  that stand alone, such as a dash or an arrow, are no words.
"""

from __future__ import annotations

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
