"""The server in this process. Only these tests pay for Django: the lab's need none of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pizarra.server.project.settings")
os.environ.setdefault("PIZARRA_SERVER_FOLDER", tempfile.mkdtemp(prefix="pizarra-web-"))

import django
import pytest

django.setup()

from django.conf import settings  # noqa: E402

from pizarra.server.people.models import Role, User  # noqa: E402
from pizarra.server.rooms.models import Room, SeatAssignment  # noqa: E402

Path(settings.STATIC_ROOT).mkdir(exist_ok=True)
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # for speed


def person(name: str, role: Role) -> User:
    """A user whose password is ``pizarra-`` and the name."""
    return User.objects.create_user(name, password=f"pizarra-{name}", role=role)


@pytest.fixture
def school(db: None) -> dict[str, User]:
    """Room ``net`` is Ada's; Eva sits at net-01, Leo at net-02. Bob teaches ``lab``."""
    _ = db
    users = {
        "ada": person("ada", Role.TEACHER),
        "bob": person("bob", Role.TEACHER),
        "eva": person("eva", Role.STUDENT),
        "leo": person("leo", Role.STUDENT),
        "tec": person("tec", Role.TECHNICIAN),
    }
    net, lab = Room.objects.create(name="net"), Room.objects.create(name="lab")
    net.teachers.add(users["ada"])
    lab.teachers.add(users["bob"])
    for number, name in enumerate(("eva", "leo"), 1):
        net.students.add(users[name])
        SeatAssignment.objects.create(room=net, number=number, student=users[name])
    return users
