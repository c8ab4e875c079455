"""The terminal speaks the reader's language; JSON speaks English, whoever reads."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from pizarra.cli import words
from pizarra.cli.words import say, translate
from pizarra.errors import ComputeFault
from pizarra.model.facts import Power
from pizarra.model.names import seat_uuid
from pizarra.model.sentence import Counted, Sentence, join
from pizarra.service import verbs
from pizarra.service.context import Context
from pizarra.service.languages import catalogue
from tests.fixtures.command import pizarra
from tests.unit.test_reset import School


@pytest.fixture
def school(monkeypatch: pytest.MonkeyPatch) -> Iterator[School]:
    """Five seats in memory, and ``pizarra`` in Spanish on that host."""
    monkeypatch.setattr(words, "spoken", catalogue("es"))
    school = School()
    host = school.context.host
    monkeypatch.setattr(
        "pizarra.service.context.context_here", lambda emit, wait_s: Context(host, emit, wait_s)
    )
    yield school


def test_status_when_spanish_then_the_table_is(school: School) -> None:
    verbs.start(school.context, "net", [1])
    school.dirty(1)
    said = pizarra("status", "net")
    heading, first, second, *_ = said.out.splitlines()
    assert heading.split() == ["puesto", "máquina", "cambios", "disco"]
    assert "en marcha" in first
    assert "apagada" in second
    assert "original" in second
    assert said.out.splitlines()[-1] == "4 de 5 máquinas en su estado original."


def test_reset_when_spanish_then_lines_and_sentence_are(school: School) -> None:
    school.dirty(1)
    said = pizarra("reset", "net", "1-2")
    assert "hecho" in said.err
    assert "rebobinar" in said.err
    assert "sin cambios" in said.err
    assert said.out.startswith("2 de 2 máquinas en su estado original en ")


def test_reset_when_one_seat_then_singular(school: School) -> None:
    assert school
    assert pizarra("reset", "net", "1").out.startswith("1 de 1 máquina en su estado original en ")


def test_reset_when_a_seat_fails_then_its_reason_is_spanish_and_english_in_json(
    school: School,
) -> None:
    school.compute.undefine(seat_uuid("net", 1))
    said = pizarra("reset", "net", "1")
    assert "su máquina ha desaparecido: hay que ejecutar pizarra recover" in said.err
    assert "Hay que mirar 1 máquina." in said.err
    told = json.loads(pizarra("reset", "net", "1", "--json").out)
    assert told["seats"][0]["reason"] == "its machine is gone: run pizarra recover"


def test_error_when_spanish_then_words_and_hint_are_and_json_is_not(school: School) -> None:
    assert school
    said = pizarra("reset", "nada")
    assert said.err.splitlines() == ["pizarra: No hay ningún aula 'nada'.", "  Hay: net."]
    document = pizarra("reset", "nada", "--json").document["error"]
    assert document["says"] == "There is no classroom 'nada'."


@pytest.mark.parametrize(
    ("reason", "english", "spanish"),
    [
        ("it was off", "it was off", "estaba apagada"),
        (
            Sentence("it could not be stopped: {why}", why=ComputeFault("{name} hung", name="off")),
            "it could not be stopped: off hung",
            "no se ha podido parar: off hung",
        ),
        (
            join(("net-01.vda", Sentence("it still differs")), ": "),
            "net-01.vda: it still differs",
            "net-01.vda: todavía es distinto",
        ),
        (Sentence("no {braces} here"), "no {braces} here", "no {braces} here"),
        (Power.RUNNING, "running", "en marcha"),
        ("", "", ""),
    ],
)
def test_reason_when_in_words_then_each_part_is_spanish_and_names_are_not(
    school: School, reason: str, english: str, spanish: str
) -> None:
    assert school
    assert str(reason) == english
    assert json.loads(json.dumps(reason)) == english
    assert say(reason) == spanish


def test_fact_when_it_is_a_name_that_is_also_a_word_then_it_stays(school: School) -> None:
    assert school
    text = "There is a classroom {name} already."
    assert translate(text, {"name": "off"}) == "Ya hay un aula off."


@pytest.mark.parametrize(
    ("n", "english", "spanish"),
    [
        (1, "1 undo that was cut off", "1 deshacer que se cortó o sobraba queda en orden"),
        (2, "2 undos that were cut off", "2 deshaceres que se cortaron o sobraban quedan en orden"),
    ],
)
def test_sentence_when_it_counts_then_the_form_goes_with_the_number_in_both_languages(
    n: int, english: str, spanish: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = (
        "{n} undo that was cut off or left behind is settled",
        "{n} undos that were cut off or left behind are settled",
    )
    said = Sentence(Counted(n, *forms), n=n)
    assert said.startswith(english)
    monkeypatch.setattr(words, "spoken", catalogue("es"))
    assert say(said) == spanish
    error = ComputeFault(Counted(n, *forms), n=n)
    assert (str(error).startswith(english), say(error)) == (True, spanish)
