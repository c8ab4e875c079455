"""`make demo SERVE=1`: the dashboard over real machines on this machine, until interrupted.
TLS=1 beside it: by https, with a certificate that it makes.

They run under a libvirtd of their own and stand on qcow2 files: no LVM, no KVM, nothing stays.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from pathlib import Path

from lab.private_libvirt import private_libvirt
from pizarra.errors import PizarraError
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.sizes import MIB
from pizarra.server.serve import serve
from pizarra.service import classrooms, templates, verbs
from pizarra.service.context import Context, context_here
from pizarra.settings import Settings
from pizarra.storage.kinds import Kind

# a test looks at the same with a guest that costs nothing
IMAGE = Path(os.environ.get("DEMO_IMAGE", "build/guests/debian.qcow2"))
SEATS, MEMORY = 4, int(os.environ.get("DEMO_MEMORY_MIB", "256")) * MIB
STUDENTS = ("eva", "leo")


def main() -> None:
    """Make a class, serve it, forget it."""
    # where another user can read: the pages do not run as root
    with tempfile.TemporaryDirectory(prefix="pizarra-demo-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with private_libvirt(folder / "libvirt") as libvirt:
            os.environ |= {
                "PIZARRA_LIBVIRT_URI": libvirt.uri,
                "PIZARRA_FOLDER": str(folder / "disks"),
                "PIZARRA_SERVER_FOLDER": str(folder / "server"),
                "PIZARRA_AT_ONCE": "2",
                "PIZARRA_SERVER_SELF_SIGNED": "true" if os.environ.get("TLS") else "false",
                **_as_whom(),
            }
            settings = Settings()
            context = context_here(settings=settings)
            _class_made(context)
            serve(settings, context.host, _told, _people_made)


def _as_whom() -> dict[str, str]:
    """A checkout that only root can read is served by root: it is only a demonstration."""
    here = Path(__file__).resolve()
    is_open = all(parent.stat().st_mode & 0o005 for parent in here.parents)
    return {"PIZARRA_SERVER_USER": "nobody" if is_open else "root"}  # none is made for this


def _class_made(context: Context) -> None:
    _say(f"importing {IMAGE}, making {SEATS} machines, starting them (software emulation)")
    source = templates.source_of_file(IMAGE)
    templates.import_template(context, "debian", source, kind=Kind.QCOW2)
    spec = ClassroomSpec(name="net", template="debian", seats=SEATS, memory_bytes=MEMORY, vcpus=1,
                         network="none", storage=Kind.QCOW2)  # fmt: skip
    classrooms.create(context, spec)
    verbs.start(context, "net")


def _people_made() -> None:
    from pizarra.server.people.models import Role, User
    from pizarra.server.rooms.models import Room
    from pizarra.server.rooms.roster import assign, make_code

    room, _ = Room.objects.get_or_create(name="net", defaults={"title": "Networks 1"})
    for username, role in (("ada", Role.TEACHER), *((one, Role.STUDENT) for one in STUDENTS)):
        password = secrets.token_urlsafe(6)
        user = User.objects.create_user(username, password=password, role=role)
        _say(f"{role.value:<10} {username} / {password}")
        if role is Role.TEACHER:
            room.teachers.add(user)
        elif username == STUDENTS[0]:
            room.students.add(user)
            assign(room, 1, user)
    _say(f"class code {make_code(room)}")


def _told(url: str, first_password: str) -> None:
    _say(f"technician technician / {first_password}")
    _say(f"the dashboard: {url}")
    _say("until Ctrl-C; then all of it is gone")


def _say(text: str) -> None:
    print(f"demo: {text}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except PizarraError as error:
        sys.exit(f"demo: {error}\n  {error.advice}")
