"""Names: what is let through is safe wherever it goes, and seats keep their identity."""

from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pizarra.errors import BadInput
from pizarra.model.names import (
    NAME_LENGTH_MAX,
    SEATS_MAX,
    check_name,
    parse_seat_name,
    parse_seat_numbers,
    seat_mac,
    seat_name,
    seat_uuid,
)

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,5}){0,3}", fullmatch=True).filter(
    lambda name: len(name) <= NAME_LENGTH_MAX
)
NUMBERS = st.integers(1, SEATS_MAX)
HOST = "a5b0c2f0-0000-4000-8000-000000000001"


@given(NAMES)
def test_name_when_well_formed_then_is_returned_as_it_is(name: str) -> None:
    assert check_name(name, "classroom") == name


@given(st.text())
def test_name_when_any_text_then_passes_only_what_is_safe_everywhere(text: str) -> None:
    try:
        check_name(text, "classroom")
    except BadInput as error:
        assert str(error) and error.advice  # its words can be put together for any text
    else:
        assert re.fullmatch(r"[a-z][a-z0-9-]{0,23}", text)
        assert "--" not in text


@pytest.mark.parametrize(
    "name",
    [
        *("", "a" * 25, "Net", "1net", "-net", "net-", "net--1", "net_1", "ñandú", "net\n", "a b"),
        *("../etc", "net/1", "a;b", "a'b", "<a>", "a{x}", "١", "a٣", "\0"),
    ],
)
def test_name_when_it_could_mean_more_then_is_refused(name: str) -> None:
    with pytest.raises(BadInput):
        check_name(name, "template")


@given(NAMES, NUMBERS)
def test_seat_name_when_parsed_then_is_the_same_seat(classroom: str, number: int) -> None:
    assert parse_seat_name(seat_name(classroom, number)) == (classroom, number)


@given(NAMES, NUMBERS, NAMES, NUMBERS)
def test_seat_when_it_is_another_then_name_uuid_and_mac_are_others(
    a: str, m: int, b: str, n: int
) -> None:
    for identity in (seat_name, seat_uuid):
        assert (identity(a, m) == identity(b, n)) is ((a, m) == (b, n))
    macs = {seat_mac(seat_uuid(*one, host=HOST), *one) for one in ((a, m), (b, n))}
    assert (len(macs) == 1) is ((a, m) == (b, n))


def test_seat_when_of_the_first_version_then_its_uuid_and_mac_are_of_its_names_alone() -> None:
    of_names = "0180f042-a3c5-57c2-abd4-9f35eeb8bf2c"
    assert seat_uuid("net", 7) == of_names
    assert seat_mac(of_names, "net", 7) == "52:54:00:96:02:79"


def test_seat_when_made_again_on_its_host_then_the_same_and_on_another_not() -> None:
    here = seat_uuid("net", 7, host=HOST)
    assert here == seat_uuid("net", 7, host=HOST)
    others = [seat_uuid("net", 7, host=HOST, attempt=1), seat_uuid("net", 7, host="other")]
    assert len({here, *others, seat_uuid("net", 7)}) == 4
    assert len({seat_mac(uuid, "net", 7) for uuid in (here, *others)}) == 3


@given(NAMES, NUMBERS, st.integers(0, 7))
def test_seat_when_made_then_uuid_and_mac_are_valid(name: str, number: int, nic: int) -> None:
    for host, form in (("", r"52:54:00(:[0-9a-f]{2}){3}"), (HOST, r"52(:[0-9a-f]{2}){5}")):
        made = seat_uuid(name, number, host=host)
        assert str(uuid.UUID(made)) == made
        assert re.fullmatch(form, seat_mac(made, name, number, nic))


@pytest.mark.parametrize("text", ["", "net", "net-", "net-1", "-01", "net-00001", "net-٠١", "01"])
def test_seat_name_when_it_is_none_then_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_seat_name(text)


def test_seat_numbers_when_ranges_overlap_then_each_once_in_order() -> None:
    assert parse_seat_numbers("11, 1-3,2 - 4,3") == (1, 2, 3, 4, 11)


@given(st.sets(NUMBERS, min_size=1))
def test_seat_numbers_when_written_out_then_are_the_same(numbers: set[int]) -> None:
    assert parse_seat_numbers(",".join(map(str, numbers))) == tuple(sorted(numbers))


@given(NUMBERS, NUMBERS)
def test_seat_numbers_when_a_range_is_given_then_is_whole_or_refused(first: int, last: int) -> None:
    if first <= last:
        assert parse_seat_numbers(f"{first}-{last}") == tuple(range(first, last + 1))
    else:
        with pytest.raises(BadInput):
            parse_seat_numbers(f"{first}-{last}")


@pytest.mark.parametrize(
    "text", ["", ",", "0", "1,", "1001", "1-1001", "3-1", "1-2-3", "-1", "a", "1.5", "٣", "1;2"]
)
def test_seat_numbers_when_not_from_1_to_the_most_then_are_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_seat_numbers(text)
