"""Words for a person that are a value: why a seat is at fault, what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def N_(text: str) -> str:
    """Mark a text for the catalogues where it stands; whoever shows it puts it into a language."""
    return text


def P_(singular: str, plural: str) -> tuple[str, str]:
    """Mark the two forms of a text that has a number in it; they go to ``ngettext``."""
    return singular, plural


class Counted(str):
    """A text with a number in it: the form of English, which knows both forms and the number."""

    __slots__ = ("n", "plural", "singular")
    n: int
    plural: str
    singular: str

    def __new__(cls, n: int, singular: str, plural: str) -> Counted:
        """The forms are marked by ``P_``, and go to ``ngettext`` at the edge."""
        made = super().__new__(cls, singular if n == 1 else plural)
        made.n, made.singular, made.plural = n, singular, plural
        return made


class Sentence(str):
    """English, for JSON and logs; it knows the template and facts that it was made of.

    So the edge can say it in the reader's language, like an error. A fact may be a sentence or an
    error in turn.
    """

    __slots__ = ("facts", "text")
    text: str
    facts: dict[str, object]

    def __new__(cls, text: str, /, **facts: object) -> Sentence:
        """``text`` is a template over ``facts``."""
        made = super().__new__(cls, text.format(**facts) if facts else text)
        made.text, made.facts = text, facts
        return made


def join(parts: Iterable[object], between: str = ", ") -> Sentence:
    """Sentences, errors and names in a row; each is put into the reader's language by itself."""
    facts = {f"part{number}": part for number, part in enumerate(parts)}
    return Sentence(between.join(f"{{{name}}}" for name in facts), **facts)


class Translated(str):
    """A sentence of another process, which said it in English and in other languages beside it."""

    __slots__ = ("languages",)
    languages: dict[str, str]

    def __new__(cls, text: str, languages: Mapping[str, str]) -> Translated:
        """``languages`` are its translations, by language: ``es``."""
        made = super().__new__(cls, text)
        made.languages = dict(languages)
        return made
