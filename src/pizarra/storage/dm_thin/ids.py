"""Ids of thin contents that are no volume: LVM counts its own up from 1, ours are far above.

Each is one of these and the id of the seat whose content it is or was; but for a trial.
"""

DISCARDED = 4 << 20  # of 24 bits: what nobody is to have again
RESCUE = 6 << 20  # a copy that a Pizarra without a journal made for a moment
UNDO_A = 8 << 20  # the two slots of a seat: see dm_thin/undo.py
UNDO_B = 12 << 20
SPAN = 2 << 20  # so many seats a pool can have
PROBE = (16 << 20) - 2  # of a baseline, for a moment
