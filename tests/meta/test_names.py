"""A reader can tell a command from a question: few public functions are past participles."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.meta.grammar import PublicFunction, is_named_by_participle, public_functions

ROOT = Path(__file__).parents[2]
SHARE_MAX = 0.05
# Names that are right although the rule counts them, each with its reason.
EXCEPTIONS = {
    "unfinished_imports": "a noun",
    "lost_sources": "a noun",
    "changed_since_observed": "a question: which volumes changed",
    "lvm_facts_unlocked": "a noun: the facts as read without LVM's lock",
}


def participles(functions: list[PublicFunction]) -> list[PublicFunction]:
    """Functions whose name is a past participle and no exception."""
    return [
        one for one in functions if is_named_by_participle(one.name) and one.name not in EXCEPTIONS
    ]


def test_public_functions_when_counted_then_under_5_percent_are_past_participles() -> None:
    functions = list(public_functions(ROOT, ROOT / "src" / "pizarra"))
    assert len(functions) > 500, "the functions are not where this test looks"
    found = participles(functions)
    assert len(found) < SHARE_MAX * len(functions), "\n".join(map(str, found))


def test_exceptions_when_listed_then_each_is_a_function_that_the_rule_counts() -> None:
    names = {one.name for one in public_functions(ROOT, ROOT / "src" / "pizarra")}
    stale = [one for one in EXCEPTIONS if one not in names or not is_named_by_participle(one)]
    assert stale == []


@pytest.mark.parametrize(
    ("name", "is_counted"),
    [
        ("rewound", True),
        ("kept_marks", True),
        ("lv_created", True),
        ("list_removed", True),
        ("rewind", False),
        ("create_seats", False),
        ("parse_needed", False),
        ("check_owned", False),
        ("changed_bytes", False),
        ("is_kept", False),
        ("has_been_used", False),
        ("read_seed", False),
        ("seed_path", False),
        ("volumes_with_undo", False),
    ],
)
def test_rule_when_a_name_is_judged_then_its_first_and_last_word_decide(
    name: str, is_counted: bool
) -> None:
    assert is_named_by_participle(name) is is_counted
