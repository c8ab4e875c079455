"""Two machines of somebody else's, to be adopted in the lab: one on a file, one on a thin volume.

They must be there after every cut, and see what they saw before the first.
"""

from __future__ import annotations

from pathlib import Path

from bench.disks import dirty
from lab.powercut.host import STATE, VG, machines, ran, sha256
from pizarra.compute.domain_edit import disks_of
from pizarra.model.sizes import MIB
from pizarra.service import adopt, classrooms
from pizarra.service.context import Context

CLASSROOM = "taken"
UUIDS = {"old-1": "c0ffee00-0000-4000-8000-000000000001",
         "old-2": "c0ffee00-0000-4000-8000-000000000002"}  # fmt: skip
NAMES = tuple(UUIDS)
_FILE, _MOVED = STATE / "old-1.img", "old-1.vda"
_XML = """\
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>16</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <disk type='{kind}' device='disk'>
      <driver name='qemu' type='raw'/>
      <source {attribute}='{path}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def made() -> None:
    """Both, with something on their disks."""
    with _FILE.open("xb") as file:
        file.truncate(8 * MIB)
    ran("lvcreate", "-q", "-y", "-Wn", "-V", "8m", "-T", f"{VG}/pizarra", "-n", "old-2")
    for path in (_FILE, Path(f"/dev/{VG}/old-2")):
        dirty(path, 0, 4 * MIB)
    defined()


def defined() -> None:
    """As they were before anybody adopted them."""
    for name, kind, attribute, path in (
        ("old-1", "file", "file", _FILE),
        ("old-2", "block", "dev", Path(f"/dev/{VG}/old-2")),
    ):
        xml = _XML.format(name=name, uuid=UUIDS[name], kind=kind, attribute=attribute, path=path)
        ran("virsh", "-q", "define", "/dev/stdin", stdin=xml)


def free_again(context: Context) -> None:
    """Let go of both, and put the first one's disk back into its file."""
    facts = context.host.observe()
    if CLASSROOM in facts.classrooms:
        assert classrooms.delete(context, CLASSROOM).exit_status == 0, "both can be let go"
    if any(volume.name == _MOVED for volume in facts.volumes.values()):
        ran("lvremove", "-q", "-y", f"{VG}/{_MOVED}")
    defined()


def adopted(context: Context) -> None:
    """What a cut falls into."""
    adopt.adopt(context, NAMES, adopt.Wish(classroom=CLASSROOM, vg=VG))


def sums() -> dict[str, str]:
    """What each sees on its disk, by what libvirt says of it."""
    there = machines()
    return {name: _sum(name) if name in there else "gone" for name in NAMES}


def _sum(name: str) -> str:
    return sha256(Path(disks_of(ran("virsh", "dumpxml", name))[0].path))
