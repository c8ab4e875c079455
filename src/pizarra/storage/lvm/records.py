"""Records of classrooms as tags of their volume group. Pure: texts in, texts out.

A tag ``pizarra.record=format=2:classroom=net:template=boot:…`` is one record. LVM allows 1024
characters of ``A-Z a-z 0-9 _ + . - / = ! : & #`` in a tag (lvm(8)); a record has about 200.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from pizarra.errors import NotOurs
from pizarra.model.classroom_record import ClassroomRecord, record_parsed
from pizarra.model.facts import RecordSeen
from pizarra.model.labels import PREFIX
from pizarra.model.sentence import Sentence, join
from pizarra.storage.kinds import Kind

_RECORD = f"{PREFIX}record="


def record_tag(record: ClassroomRecord) -> str:
    """The tag that says it."""
    return _RECORD + ":".join(f"{key}={text}" for key, text in record.to_dict().items())


def tags_of_classroom(tags: Iterable[str], classroom: str) -> list[str]:
    """The tags that are a record of this classroom, whatever else they say."""
    records = (tag for tag in tags if tag.startswith(_RECORD))
    return [tag for tag in records if _texts(tag)["classroom"] == classroom]


def records_seen(place: str, tags: Iterable[str]) -> Iterator[RecordSeen]:
    """All records of a group. Two of one classroom are not trusted, neither of them."""
    by_classroom: dict[str, list[str]] = defaultdict(list)
    for tag in tags:
        if tag.startswith(_RECORD):
            by_classroom[_texts(tag)["classroom"]].append(tag)
    for classroom, its in by_classroom.items():
        if len(its) > 1:
            fault = Sentence("its volume group has two records of it")
            yield _unreadable(place, classroom, fault)
        else:
            yield _seen(place, classroom, its[0])


def _seen(place: str, classroom: str, tag: str) -> RecordSeen:
    try:
        record = record_parsed(_texts(tag))
    except NotOurs as error:
        return _unreadable(place, classroom, join([error]))
    return RecordSeen(kind=Kind.LVM_THICK, place=place, classroom=classroom, record=record)


def _unreadable(place: str, classroom: str, fault: str) -> RecordSeen:
    return RecordSeen(
        kind=Kind.LVM_THICK, place=place, classroom=classroom, record=None, fault=fault
    )


def _texts(tag: str) -> dict[str, str]:
    parts = (part.partition("=") for part in tag.removeprefix(_RECORD).split(":"))
    return {"classroom": "", **{key: text for key, _, text in parts}}
