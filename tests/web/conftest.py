"""Fixtures for tests of the server, which runs in this process."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pizarra.server.project.settings")
os.environ.setdefault("PIZARRA_SERVER_FOLDER", tempfile.mkdtemp(prefix="pizarra-web-"))
os.environ.setdefault("PIZARRA_RUN_FOLDER", tempfile.mkdtemp(prefix="pizarra-run-"))
os.environ.setdefault("PIZARRA_STATE_FOLDER", tempfile.mkdtemp(prefix="pizarra-state-"))

import django
import pytest

django.setup()

from django.conf import settings  # noqa: E402
from django.core.cache import cache  # noqa: E402

from pizarra.agent.agent import Agent  # noqa: E402
from pizarra.agent.client import HostClient  # noqa: E402
from pizarra.agent.door import Door  # noqa: E402
from pizarra.server.people.models import Role, User  # noqa: E402
from pizarra.server.rooms.models import Room, SeatAssignment  # noqa: E402

Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # for speed


def person(name: str, role: Role) -> User:
    """Create a user whose password is ``pizarra-`` and the name."""
    return User.objects.create_user(name, password=f"pizarra-{name}", role=role)


@contextmanager
def serving(agent: Agent) -> Iterator[HostClient]:
    """Run an agent behind its real door, in a thread of this process."""
    path = settings.PIZARRA.agent_socket
    door = Door(path, agent, os.geteuid())
    threading.Thread(target=door.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield HostClient(path)
    finally:
        door.shutdown()
        door.server_close()
        path.unlink(missing_ok=True)


@pytest.fixture
def school(db: None) -> dict[str, User]:
    """Ada teaches the room ``net``, with Eva at net-01 and Leo at net-02. Bob teaches ``lab``."""
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


@pytest.fixture(autouse=True)
def no_guesses() -> None:
    """The throttles of guesses begin anew with each test."""
    cache.clear()
