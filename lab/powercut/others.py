"""Two machines of somebody else, for adoption in the lab: one on a file, one on a thin volume.

After every cut both machines must exist and see the same disk content as before the first cut.
"""

from __future__ import annotations

from pathlib import Path

from bench.disks import dirty
from lab.powercut.host import STATE, VG, machines, run_command, sha256
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


def create_machines() -> None:
    """Create both machines, with data on their disks."""
    with _FILE.open("xb") as file:
        file.truncate(8 * MIB)
    run_command("lvcreate", "-q", "-y", "-Wn", "-V", "8m", "-T", f"{VG}/pizarra", "-n", "old-2")
    for path in (_FILE, Path(f"/dev/{VG}/old-2")):
        dirty(path, 0, 4 * MIB)
    define_machines()


def define_machines() -> None:
    """Define both machines as they were before any adoption."""
    for name, kind, attribute, path in (
        ("old-1", "file", "file", _FILE),
        ("old-2", "block", "dev", Path(f"/dev/{VG}/old-2")),
    ):
        xml = _XML.format(name=name, uuid=UUIDS[name], kind=kind, attribute=attribute, path=path)
        run_command("virsh", "-q", "define", "/dev/stdin", stdin=xml)


def release_machines(context: Context) -> None:
    """End the adoption of both, and put the first machine's disk back into its file."""
    facts = context.host.observe()
    if CLASSROOM in facts.classrooms:
        assert classrooms.delete(context, CLASSROOM).exit_status == 0, "both adoptions can be ended"
    if any(volume.name == _MOVED for volume in facts.volumes.values()):
        run_command("lvremove", "-q", "-y", f"{VG}/{_MOVED}")
    define_machines()


def adopt_machines(context: Context) -> None:
    """Adopt both machines. A cut falls into this call."""
    adopt.adopt(context, NAMES, adopt.Wish(classroom=CLASSROOM, vg=VG))


def sums() -> dict[str, str]:
    """Name -> SHA-256 of the disk that libvirt's definition names; "gone" without a definition."""
    there = machines()
    return {name: _sum(name) if name in there else "gone" for name in NAMES}


def _sum(name: str) -> str:
    return sha256(Path(disks_of(run_command("virsh", "dumpxml", name))[0].path))
