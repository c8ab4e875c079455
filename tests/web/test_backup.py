"""Backup and restore of the server's database: a real SQLite file of another user, or PostgreSQL
where the environment names one (tools/with-postgresql)."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pizarra import settings as settings_file
from pizarra.compute.memory import MemoryCompute
from pizarra.engine.memory_host import memory_host
from pizarra.errors import AlreadyExists, StorageFault
from pizarra.server.folders import lay_out
from pizarra.service.backup.restore import restore
from pizarra.service.backup.save import back_up
from pizarra.service.context import Context
from pizarra.settings import Settings
from pizarra.storage.memory.store import MemoryStore

URL = os.environ.get("PIZARRA_DATABASE", "")
USER = "postgres" if URL else "nobody"  # whom the server of PostgreSQL knows, or anybody
_FILL = """
import django; django.setup()
from pizarra.server.people.models import Role, User
from pizarra.server.rooms.models import Room
from pizarra.server.jobs.models import AuditEntry, Job
from django.contrib.sessions.backends.db import SessionStore
ana = User.objects.create_user("ana", first_name="Ana Ñandú 学生", role=Role.TEACHER)
room = Room.objects.create(name="net", message="Eyes on me", message_seats=[1])
room.teachers.add(ana)
for state in ("queued", "running", "ended"):
    job = Job.objects.create(host="local", use_case="reset", classroom="net", user=ana,
                             wish=state, state=state, arguments={"classroom": "net"})
AuditEntry.objects.create(user=ana, who="ana", action="reset", classroom="net", job=job)
SessionStore().create()
"""
_SHOW = """
import django, json; django.setup()
from django.contrib.sessions.models import Session
from pizarra.server.people.models import User
from pizarra.server.rooms.models import Room
from pizarra.server.jobs.models import AuditEntry, Job
print(json.dumps({
    "people": sorted(User.objects.values_list("username", "first_name")),
    "teachers": sorted(Room.objects.values_list("name", "message", "teachers__username")),
    "jobs": sorted(Job.objects.values_list("wish", "state")),
    "errors": sorted({one["code"] for one in Job.objects.values_list("error", flat=True) if one}),
    "audit": sorted(AuditEntry.objects.values_list("who", "action")),
    "sessions": Session.objects.count(),
}))
"""
_CLEAR = """
import django; django.setup()
from django.db import connection
tables = connection.introspection.table_names()
with connection.cursor() as cursor:
    for one in tables:
        cursor.execute(f'DROP TABLE "{one}" CASCADE')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The folders of a host, and what runs as the user of its pages."""

    folder: Path
    variables: dict[str, str]

    @property
    def settings(self) -> Settings:
        return Settings()

    def context(self) -> Context:
        return Context(memory_host(MemoryStore(), MemoryCompute(), self.settings))

    def prepare(self) -> None:
        """As ``serve`` does."""
        lay_out(self.settings)
        done = self._run("-m", "pizarra.server.prepare")
        assert done.returncode in (0, 10), done.stderr

    def script(self, text: str) -> Any:
        done = self._run("-c", text)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")

    def _run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", *argv]
        more = {"DJANGO_SETTINGS_MODULE": "pizarra.server.project.settings"}
        known = pwd.getpwnam(USER)
        return subprocess.run(
            command,
            env=os.environ | self.variables | more | {"PIZARRA_FIRST_PASSWORD": "first-password"},
            capture_output=True,
            text=True,
            check=False,
            user=known.pw_uid,
            group=known.pw_gid,
            extra_groups=[],
            cwd="/",
        )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="pizarra-backup-", dir="/dev/shm"))
    folder.chmod(0o755)
    variables = {
        "PIZARRA_STATE_FOLDER": str(folder / "state"),
        "PIZARRA_SERVER_FOLDER": str(folder / "state" / "server"),
        "PIZARRA_RUN_FOLDER": str(folder / "run"),
        "PIZARRA_SERVER_LISTEN": "127.0.0.1:1",
        "PIZARRA_SERVER_USER": USER,
        "PIZARRA_DATABASE": URL,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    etc = folder / "etc" / "pizarra.toml"
    etc.parent.mkdir()
    etc.write_text("grace_s = 7\n")
    monkeypatch.setattr(settings_file, "FILE", etc)
    made = Server(folder=folder, variables=variables)
    try:
        yield made
    finally:
        if URL:
            made.script(_CLEAR)
        shutil.rmtree(folder)


def throw_away(server: Server) -> None:
    if URL:
        server.script(_CLEAR)
    shutil.rmtree(server.folder / "state")
    (server.folder / "etc" / "pizarra.toml").unlink()


def test_restore_when_the_server_is_lost_then_people_are_there_and_nothing_is_under_way(
    server: Server,
) -> None:
    server.prepare()
    server.script(_FILL)
    before = server.script(_SHOW)
    key = (server.settings.pages_folder / "secret-key").read_text()
    made = back_up(server.context(), server.folder / "backup")
    assert made["database"] == ("postgresql" if URL else "sqlite")
    assert server.script(_SHOW) == before, "a backup changes nothing"
    throw_away(server)

    restore(server.context(), server.folder / "backup")
    restored = server.settings.server_folder / "restored"
    seen = restored.stat()
    assert (seen.st_uid, seen.st_mode & 0o777) == (os.geteuid(), 0o700), "until the server begins"
    server.prepare()
    after = server.script(_SHOW)
    assert after["people"] == before["people"]
    assert ["ana", "Ana Ñandú 学生"] in after["people"]
    assert after["teachers"] == [["net", "", "ana"]]
    assert after["jobs"] == [["ended", "ended"], ["queued", "failed"], ["running", "failed"]]
    assert (after["errors"], after["sessions"]) == (["restored"], 0)
    assert after["audit"] == [["ana", "reset"], ["root", "restore"]]
    pages = server.settings.pages_folder
    assert (pages / "secret-key").read_text() == key
    assert {one.stat().st_uid for one in pages.iterdir()} == {pwd.getpwnam(USER).pw_uid}
    assert not (pages / "restored").exists()
    server.prepare()
    assert server.script(_SHOW) == after, "once"


def test_restore_when_people_are_here_then_they_are_kept_beside(server: Server) -> None:
    server.prepare()
    server.script(_FILL)
    back_up(server.context(), server.folder / "backup")
    server.script("import django; django.setup()\n"
                  "from pizarra.server.people.models import User\n"
                  "User.objects.create_user('later')")  # fmt: skip
    with pytest.raises(AlreadyExists):
        restore(server.context(), server.folder / "backup")
    assert ["later", ""] in server.script(_SHOW)["people"]
    done = restore(server.context(), server.folder / "backup", replace=True)
    server.prepare()
    assert ["later", ""] not in server.script(_SHOW)["people"]
    aside = "".join(
        one.read_bytes().decode("latin-1")
        for kept in map(Path, done["set_aside"])
        for one in ([kept] if kept.is_file() else kept.rglob("*"))
        if one.is_file()
    )
    assert "later" in aside


def test_backup_when_the_database_refuses_then_there_is_no_folder(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.prepare()
    if URL:
        monkeypatch.setenv("PIZARRA_DATABASE", "postgresql://nobody:secret@127.0.0.1:1/none")
    else:
        (server.settings.pages_folder / "server.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(StorageFault, match="database refused") as caught:
        back_up(server.context(), server.folder / "backup")
    assert "secret" not in str(caught.value)
    assert not (server.folder / "backup").exists()


def test_restore_when_the_database_refuses_then_nothing_is_touched(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not URL:
        return
    server.prepare()
    back_up(server.context(), server.folder / "backup")
    before = sorted(map(str, server.folder.rglob("*")))
    with monkeypatch.context() as patched:
        patched.setenv("PIZARRA_DATABASE", "postgresql://nobody:secret@127.0.0.1:1/none")
        with pytest.raises(StorageFault, match="database refused"):
            restore(server.context(), server.folder / "backup", replace=True)
    assert sorted(map(str, server.folder.rglob("*"))) == before


def test_backup_when_the_pages_left_a_link_then_it_leads_root_nowhere(server: Server) -> None:
    server.prepare()
    pages = server.settings.pages_folder
    key = pages / "secret-key"
    key.unlink()
    key.symlink_to("/etc/shadow")
    with pytest.raises(StorageFault):
        back_up(server.context(), server.folder / "backup")
    if URL:
        return
    key.unlink()
    database = pages / "server.sqlite"
    database.unlink()
    database.symlink_to("/etc/shadow")
    with pytest.raises(StorageFault):
        back_up(server.context(), server.folder / "backup")
    assert not (server.folder / "backup").exists()
