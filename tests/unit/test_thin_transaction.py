"""LVM's transaction with a pool, cut off by a loss of power: what of it is ended, and when not."""

from __future__ import annotations

import pytest

from pizarra.storage.dm_thin.transaction import (
    PendingTransaction,
    messages_to_finish,
    pending_transaction,
)

# as `vgcfgbackup` wrote it after a cut that `make powercut` found
METADATA = """contents = "Text Format Volume Group"
vg_class {
\tlogical_volumes {

\t\tpizarra {
\t\t\tid = "k"
\t\t\tsegment1 {
\t\t\t\ttype = "thin-pool"
\t\t\t\ttransaction_id = 34
\t\t\t\tchunk_size = 1024

\t\t\t\tmessage1 {
\t\t\t\t\tcreate = "fresh-02.vda"
\t\t\t\t}
\t\t\t\tmessage2 {
\t\t\t\t\tdelete = 9
\t\t\t\t}
\t\t\t}
\t\t}

\t\tfresh-02.vda {
\t\t\tsegment1 {
\t\t\t\ttransaction_id = 33
\t\t\t\tdevice_id = 10
\t\t\t}
\t\t}
\t}
}
"""
CUT = PendingTransaction(transaction=34, creates=("fresh-02.vda",), deletes=(9,))
IDS = {"fresh-02.vda": 10, "net-01.vda": 2}


def test_metadata_when_a_pool_waits_then_says_for_what() -> None:
    assert pending_transaction(METADATA, "pizarra") == CUT
    assert pending_transaction(METADATA, "other") is None
    calm = METADATA.replace('create = "fresh-02.vda"', "").replace("delete = 9", "")
    assert pending_transaction(calm, "pizarra") is None


def test_messages_when_the_device_is_there_then_the_rest_is_told_and_counted() -> None:
    ended = messages_to_finish(CUT, 33, {2, 9, 10}, IDS, ["fresh-02.vda"])
    assert ended == ["delete 9", "set_transaction_id 33 34"]
    assert messages_to_finish(CUT, 33, {2, 10}, IDS, ["fresh-02.vda"]) == [
        "set_transaction_id 33 34"
    ]


@pytest.mark.parametrize(
    ("counted", "there", "ours"),
    [
        (33, {2, 9}, ["fresh-02.vda"]),
        (34, {2, 9, 10}, ["fresh-02.vda"]),
        (31, {2, 9, 10}, ["fresh-02.vda"]),
        (33, {2, 9, 10}, []),
    ],
    ids=["LVM makes it itself", "it is counted", "more is wrong than this", "not ours"],
)
def test_messages_when_it_is_not_that_case_then_nothing_is_done(
    counted: int, there: set[int], ours: list[str]
) -> None:
    assert messages_to_finish(CUT, counted, there, IDS, ours) == []
