"""LVM command lines. Pure: values in, argv out; nothing here runs anything.

Batches go to one ``lvm`` process on its standard input, half the cost of a process each.
"""

from __future__ import annotations

from collections.abc import Sequence

from pizarra.model.facts import Volume
from pizarra.model.labels import Labels
from pizarra.storage.interface import NewVolume
from pizarra.storage.lvm.report import SEG_FIELDS, VG_FIELDS
from pizarra.system import lvm_calls

Argv = list[str]


def full_report(*rest: str) -> Argv:
    """All groups, or one: what ``report.parse_groups`` reads."""
    return lvm_calls.full_report(VG_FIELDS, SEG_FIELDS, *rest)


def _tagged(labels: Labels) -> Argv:
    return [part for tag in labels.to_tags() for part in ("--addtag", tag)]


def pool_create(vg: str, pool: str, percent_free: int) -> Argv:
    """A thin pool that zeroes what it hands out, so that no student reads another's old blocks."""
    size = ["-l", f"{percent_free}%FREE", "--zero", "y"]
    return ["lvcreate", "-y", "--type", "thin-pool", *size, "-n", pool, vg]


def thin_create(vg: str, pool: str, new: NewVolume) -> Argv:
    """An empty thin volume."""
    size = ["-V", f"{new.size_bytes}b"]
    return [
        "lvcreate",
        "-y",
        "-Wn",
        "-T",
        *size,
        "-n",
        new.name,
        *_tagged(new.labels),
        f"{vg}/{pool}",
    ]


def thin_snapshot(vg: str, origin: str, new: NewVolume) -> Argv:
    """A thin snapshot that is activated like any volume (-kn) and may be written."""
    flags = ["-y", "-s", "-kn", "-prw"]
    return ["lvcreate", *flags, "-n", new.name, *_tagged(new.labels), f"{vg}/{origin}"]


def thin_baseline(vg: str, origin: str, new: NewVolume) -> Argv:
    """A thin snapshot that is only ever a source: read-only, never active."""
    flags = ["-y", "-s", "-ky", "-pr", "-an"]
    return ["lvcreate", *flags, "-n", new.name, *_tagged(new.labels), f"{vg}/{origin}"]


def thin_view(vg: str, origin: str, new: NewVolume) -> Argv:
    """A thin snapshot to look at: active and read-only, whatever its origin does meanwhile."""
    flags = ["-y", "-s", "-kn", "-pr", "-ay"]
    return ["lvcreate", *flags, "-n", new.name, *_tagged(new.labels), f"{vg}/{origin}"]


def linear_create(vg: str, new: NewVolume) -> Argv:
    """A plain volume; what its extents held before can still be read from it."""
    size = ["-L", f"{new.size_bytes}b"]
    return ["lvcreate", "-y", "-Wn", "-Zn", *size, "-n", new.name, *_tagged(new.labels), vg]


def cow_snapshot(vg: str, origin: str, new: NewVolume, cow_bytes: int) -> Argv:
    """A classic snapshot with a copy-on-write store of its own."""
    size = ["-L", f"{cow_bytes}b"]
    return [
        "lvcreate",
        "-y",
        "-s",
        "-prw",
        *size,
        "-n",
        new.name,
        *_tagged(new.labels),
        f"{vg}/{origin}",
    ]


def merge(vg: str, snapshot: str) -> Argv:
    """Copy the old blocks of a classic snapshot back into its origin, to the end (the 2014 way)."""
    return ["lvconvert", "-y", "--merge", f"{vg}/{snapshot}"]


def change(vg: str, name: str, *options: str) -> Argv:
    """``lvchange`` with what is to change: -ay, -an, -pr, -ky, --refresh."""
    return ["lvchange", "-y", *options, f"{vg}/{name}"]


def set_labels(volume: Volume, new: Labels) -> Argv:
    """Replace tags of ours, those of others stay; nothing when it has these."""
    old, wanted = volume.tags, new.to_tags()
    gone = [part for tag in old if tag not in wanted for part in ("--deltag", tag)]
    added = [part for tag in wanted if tag not in old for part in ("--addtag", tag)]
    name = f"{volume.place}/{volume.name}"
    return ["lvchange", "-y", *gone, *added, name] if gone or added else []


def group_tags(vg: str) -> Argv:
    """The tags of a group, with commas between: a report of one row."""
    return lvm_calls.report("vgs", "vg_tags", vg)


def set_group_tags(vg: str, gone: Sequence[str], added: Sequence[str]) -> Argv:
    """Take tags of a group off and put others on, in one change of its metadata."""
    off = [part for tag in gone for part in ("--deltag", tag)]
    return ["vgchange", *off, *(part for tag in added for part in ("--addtag", tag)), vg]


def rename(vg: str, name: str, new: str) -> Argv:
    """``lvrename``; its UUID, its labels and who has it open stay."""
    return ["lvrename", f"{vg}/{name}", f"{vg}/{new}"]


def unlabel(vg: str, name: str, tags: Sequence[str]) -> Argv:
    """Take tags of ours off: the volume is somebody else's from now on."""
    return ["lvchange", "-y", *(part for tag in tags for part in ("--deltag", tag)), f"{vg}/{name}"]


def open_volumes(vg: str) -> Argv:
    """The names of volumes that something holds open: a report of a row each."""
    return lvm_calls.report("lvs", "lv_name", "-S", "lv_device_open=1", vg)


def extend(vg: str, name: str, size_bytes: int) -> Argv:
    """Grow a volume to a size."""
    return ["lvextend", "-L", f"{size_bytes}b", f"{vg}/{name}"]


def extend_by(vg: str, name: str, more_bytes: int) -> Argv:
    """Grow a volume; of a classic snapshot, its store."""
    return ["lvextend", "-L", f"+{more_bytes}b", f"{vg}/{name}"]


def metadata_to(vg: str, file: str) -> Argv:
    """Write the group's metadata, as text, to a file."""
    return ["vgcfgbackup", "-f", file, vg]


def remove(vg: str, names: Sequence[str]) -> Argv:
    """Remove many in one command: half the time of a command each."""
    return ["lvremove", "-y", *(f"{vg}/{name}" for name in names)]
