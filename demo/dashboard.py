"""`make demo SERVE=1`: the dashboard over real machines, until it is interrupted.

With TLS=1 the server speaks https, with a certificate of its own. The machines run under a libvirtd
of their own, on qcow2 files. The demo needs no LVM and no KVM, and leaves nothing behind.
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

# a test runs the same demo with a guest that needs no time
IMAGE = Path(os.environ.get("DEMO_IMAGE", "build/guests/debian.qcow2"))
SEATS, MEMORY = 4, int(os.environ.get("DEMO_MEMORY_MIB", "256")) * MIB
STUDENTS = ("eva", "leo")


def main() -> None:
    """Make a classroom, serve it, and remove it."""
    # in a folder that other users can read: the pages do not run as root
    with tempfile.TemporaryDirectory(prefix="pizarra-demo-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with private_libvirt(folder / "libvirt") as libvirt:
            os.environ |= {
                "PIZARRA_LIBVIRT_URI": libvirt.uri,
                "PIZARRA_FOLDER": str(folder / "disks"),
                "PIZARRA_SERVER_FOLDER": str(folder / "server"),
                "PIZARRA_STATE_FOLDER": str(folder / "state"),
                "PIZARRA_RUN_FOLDER": str(folder / "run"),
                "PIZARRA_AT_ONCE": "2",
                "PIZARRA_SERVER_SELF_SIGNED": "true" if os.environ.get("TLS") else "false",
                **_server_user(),
            }
            settings = Settings()
            context = context_here(settings=settings)
            _make_classroom(context)
            serve(settings, context.host, _print_address, _make_people)


def _server_user() -> dict[str, str]:
    """The setting for the pages' user: root, if only root can read this checkout."""
    here = Path(__file__).resolve()
    is_open = all(parent.stat().st_mode & 0o005 for parent in here.parents)
    return {"PIZARRA_SERVER_USER": "nobody" if is_open else "root"}  # the demo creates no user


def _make_classroom(context: Context) -> None:
    _say(f"importing {IMAGE}, making {SEATS} machines, starting them (software emulation)")
    source = templates.source_of_file(IMAGE)
    templates.import_template(context, "debian", source, kind=Kind.QCOW2)
    spec = ClassroomSpec(name="net", template="debian", seats=SEATS, memory_bytes=MEMORY, vcpus=1,
                         network="none", storage=Kind.QCOW2)  # fmt: skip
    classrooms.create(context, spec)
    verbs.start(context, "net")


def _make_people() -> None:
    import django

    django.setup()
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


def _print_address(url: str, first_password: str, _has_no_technician: bool) -> None:
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
