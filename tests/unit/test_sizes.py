"""Sizes: what is written is what is read, and nonsense is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pizarra.errors import BadInput
from pizarra.model.sizes import GIB, KIB, MIB, TIB, parse_size, round_up, size_text


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("512", 512),
        ("512B", 512),
        ("4k", 4 * KIB),
        ("512MiB", 512 * MIB),
        (" 20 G ", 20 * GIB),
        ("1.5T", 3 * TIB // 2),
        ("2gb", 2 * GIB),
        ("2Gi", 2 * GIB),
        ("2GiB", 2 * GIB),
        ("2G", 2 * GIB),
        ("2g", 2 * GIB),
        ("512Mi", 512 * MIB),
    ],
)
def test_size_when_written_in_any_usual_way_then_is_read(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0G",
        "-1G",
        "G",
        "1e3",
        "1,5G",
        "20 X",
        "1G2",
        "٣G",
        "nan",
        "12345678901",
        "2i",
        "2iB",
    ],
)
def test_size_when_it_is_none_then_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_size(text)


@given(st.text())
def test_size_when_any_text_then_is_positive_or_refused(text: str) -> None:
    try:
        assert parse_size(text) > 0
    except BadInput as error:
        assert str(error) and error.advice


@given(st.integers(1, 1023), st.sampled_from([("KiB", KIB), ("MiB", MIB), ("GiB", GIB)]))
def test_size_when_whole_units_then_text_can_be_read_back(
    number: int, unit: tuple[str, int]
) -> None:
    name, unit_bytes = unit
    assert size_text(number * unit_bytes) == f"{number} {name}"
    assert parse_size(size_text(number * unit_bytes)) == number * unit_bytes


@given(st.integers(KIB, 900 * TIB))
def test_size_text_when_read_back_then_is_within_its_one_decimal(size_bytes: int) -> None:
    assert abs(parse_size(size_text(size_bytes)) - size_bytes) <= size_bytes * 0.051


def test_size_text_when_small_then_is_bytes() -> None:
    assert [size_text(size) for size in (0, 1, 1023)] == ["0 B", "1 B", "1023 B"]


@given(st.integers(0, TIB), st.integers(1, GIB))
def test_rounded_up_when_any_then_is_the_next_multiple(size_bytes: int, step_bytes: int) -> None:
    rounded = round_up(size_bytes, step_bytes)
    assert rounded % step_bytes == 0
    assert 0 <= rounded - size_bytes < step_bytes
