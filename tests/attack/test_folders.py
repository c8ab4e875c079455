"""An unprivileged user owns folders in which root has work, and plants links at every name."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from pizarra.agent.agent import Agent
from pizarra.agent.client import HostClient
from pizarra.agent.door import Door
from pizarra.compute.memory import MemoryCompute
from pizarra.engine.host import Host, RealStorages
from pizarra.errors import HostNotFit, PizarraError
from pizarra.model.sizes import MIB
from pizarra.server.folders import lay_out
from pizarra.service import templates
from pizarra.service.context import Context
from pizarra.service.export import export_template
from pizarra.service.report import report
from pizarra.settings import Settings
from pizarra.storage.kinds import Kind
from pizarra.system.file_copies import copy_atomically, same_content
from pizarra.system.own_folder import opening_folder
from tests.attack.conftest import SECRET, Secrets, as_user, beside_as_user, give, uid_of
from tests.attack.served import USER
from tests.contract.storage_qcow2 import create_image

_LIMIT_S = 120.0
# every name in the folder that version ab156f6 gave to the user, and some that a program may make
FILES = ("server.sqlite", "server.sqlite-wal", "server.sqlite-shm", "server.sqlite-journal",
         "server.sqlite-mine", "secret-key", "self-signed.crt", "self-signed.key", "agent.sock",
         ".secret-key.new", "pages.new")  # fmt: skip
FOLDERS = ("static", "uploads", "activity", "demonstration", "pages", "pages/pages")
PLANT = """
import os, sys
folder, file, target, *names = sys.argv[1:]
os.umask(0)
for name in names:
    path = os.path.join(folder, name.rstrip("/"))
    if os.path.lexists(path) and not os.path.isdir(path):
        os.unlink(path)
    try:
        os.symlink(target if name.endswith("/") else file, path)
    except OSError:
        pass
"""


def plant(folder: Path, secrets: Secrets) -> None:
    """As the user, make a link of every name in their folder."""
    names = [*FILES, *(f"{name}/" for name in FOLDERS)]
    as_user(PLANT, folder, secrets.file, secrets.folder, *names)


def settings_at(place: Path) -> Settings:
    return Settings(
        server_folder=place / "server", run_folder=place / "run", state_folder=place / "state",
        folder=place / "disks", server_user=USER,
    )  # fmt: skip


# the folder of the server


def test_old_folder_when_every_name_is_a_link_then_it_is_the_pages_and_root_touched_nothing(
    place: Path, secrets: Secrets
) -> None:
    plant(give(place / "server"), secrets)
    before = secrets.state()
    for _ in range(2):
        assert lay_out(settings_at(place)) == USER
    assert secrets.state() == before
    pages = place / "server" / "pages"
    assert [path.stat().st_uid for path in (place / "server", pages)] == [0, uid_of()]
    assert all((pages / name).is_symlink() for name in FILES)
    assert stat.S_IMODE(pages.stat().st_mode) == 0o700


def test_old_folder_when_the_taking_over_was_cut_off_then_the_next_start_ends_it(
    place: Path,
) -> None:
    new = place / ".server.new"
    new.mkdir()
    give(new / "pages")
    (new / "pages" / "server.sqlite").write_bytes(b"people")
    lay_out(settings_at(place))
    assert (place / "server" / "pages" / "server.sqlite").read_bytes() == b"people"
    assert not new.exists()


def test_old_folder_when_it_is_in_a_folder_of_the_user_then_refused(place: Path) -> None:
    give(give(place / "theirs") / "server")
    settings = settings_at(place / "theirs")
    with pytest.raises(HostNotFit, match="another user"):
        lay_out(settings)


def test_folder_when_root_owns_it_and_everybody_may_write_to_it_then_refused_and_as_it_was(
    place: Path,
) -> None:
    folder = place / "server"
    (folder / "pages").mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.raises(HostNotFit, match="another user") as refused:
        lay_out(settings_at(place))
    assert "ls -ld" in refused.value.advice
    assert [path.name for path in folder.iterdir()] == ["pages"]


def test_old_folder_when_the_user_exchanges_it_meanwhile_then_root_is_not_led_away(
    place: Path, secrets: Secrets
) -> None:
    swap = """
import os, sys
os.chdir(sys.argv[1])
while True:
    for name in ("pages", "static"):
        try:
            os.symlink(sys.argv[2], name)
            os.unlink(name)
            os.mkdir(name)
            os.rmdir(name)
        except OSError:
            pass
"""
    before = secrets.state()
    with beside_as_user(swap, give(place / "server"), secrets.folder):
        for _ in range(200):
            try:
                lay_out(settings_at(place))
            except HostNotFit:
                continue
    assert secrets.state() == before


@contextmanager
def serving(place: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the real server: its process, and what it said until it was ready, or ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {
        "PIZARRA_SERVER_FOLDER": str(place / "server"),
        "PIZARRA_STATE_FOLDER": str(place / "state"),
        "PIZARRA_RUN_FOLDER": str(place / "run"),
        "PIZARRA_SERVER_LISTEN": f"127.0.0.1:{port}",
        "PIZARRA_SERVER_USER": USER,
        "PIZARRA_SERVER_SELF_SIGNED": "true",
    }
    argv = [sys.executable, "-m", "pizarra", "serve", "--demonstration", "2", "--json"]
    server = subprocess.Popen(argv, env=os.environ | given, stdout=subprocess.PIPE, text=True)
    assert server.stdout
    said = ""
    for line in server.stdout:
        said += line
        if line.rstrip() == "}":
            break
    try:
        yield server, said
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(_LIMIT_S)


def folder_of_pages(place: Path) -> Path:
    """In this version, or in version ab156f6."""
    pages = place / "server" / "pages"
    return pages if pages.is_dir() else pages.parent


def end_children(pid: int) -> None:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)


@pytest.mark.parametrize("where", ["before the first start", "between two starts", "while it runs"])
def test_server_when_links_are_planted_then_none_leads_root_to_a_secret(
    place: Path, secrets: Secrets, where: str
) -> None:
    before = secrets.state()
    if where == "before the first start":
        plant(give(place / "server"), secrets)
    else:
        with serving(place) as (server, said):
            assert json.loads(said)["url"]
            if where == "while it runs":
                plant(folder_of_pages(place), secrets)
                end_children(server.pid)  # as their user can: the unit starts us again
                server.wait(_LIMIT_S)
        plant(folder_of_pages(place), secrets)
    with serving(place):
        pass
    assert secrets.state() == before


def test_server_when_it_runs_then_its_folders_are_roots_and_the_pages_work(place: Path) -> None:
    old = give(place / "server")
    (old / "secret-key").write_text("of the old version\n")
    os.chown(old / "secret-key", uid_of(), -1)
    with serving(place) as (_, said):
        assert json.loads(said)["password"]
    pages = old / "pages"
    assert (old.stat().st_uid, pages.stat().st_uid) == (0, uid_of())
    assert (pages / "secret-key").read_text() == "of the old version\n"
    owners = {path.name: path.lstat().st_uid for path in pages.iterdir()}
    assert set(owners.values()) == {uid_of()}
    assert {"server.sqlite", "self-signed.key", "static"} <= set(owners)


# the door


def test_door_when_its_folder_is_the_users_then_refused(place: Path, secrets: Secrets) -> None:
    folder = give(place / "run")
    as_user(PLANT, folder, secrets.file, secrets.folder, "agent.sock")
    before = secrets.state()
    agent = Agent(host_at(place))
    with pytest.raises(HostNotFit, match="another user"):
        Door(folder / "agent.sock", agent, uid_of())
    assert secrets.state() == before


def host_at(place: Path) -> Host:
    settings = settings_at(place)
    return Host(settings, MemoryCompute(), RealStorages(settings))


def ended(client: HostClient, job: str) -> dict[str, Any]:
    """What became of a job."""
    while True:
        news = client.events(job, 0, 5)
        if news["ended"]:
            return news


IMPORT = """
import json, os, socket, sys
door = socket.socket(socket.AF_UNIX)
door.connect(sys.argv[1])
flags = {"path": os.O_PATH, "write": os.O_WRONLY}[sys.argv[3]]
fd = os.open(sys.argv[2], flags)
wish = {"template": "boot", "upload": "00000000-0000-4000-8000-000000000000", "storage": "qcow2"}
question = {"ask": "submit", "job": "j1", "command": "template import", "arguments": wish,
            "by": "technicians"}
socket.send_fds(door, [json.dumps(question).encode() + b"\\n"], [fd])
sys.exit(b'"answer": true' not in door.makefile("rb").readline())
"""


@pytest.mark.parametrize("how", ["path", "write"])
def test_upload_when_the_descriptor_does_not_prove_that_it_can_be_read_then_not_found(
    place: Path, secrets: Secrets, how: str
) -> None:
    """A path descriptor of a file that the user cannot read, or one that they can only write."""
    secrets.folder.chmod(0o711)
    secrets.file.chmod(0o602)
    path = place / "run" / "agent.sock"
    door = Door(path, Agent(host_at(place)), uid_of())
    threading.Thread(target=door.serve_forever, args=(0.01,), daemon=True).start()
    try:
        as_user(IMPORT, path, secrets.file, how)
        assert ended(HostClient(path), "j1")["error"]["code"] == "not_found"
    finally:
        door.shutdown()
        door.server_close()


# firmware states: libvirt's folders belong to the users of QEMU and swtpm


def test_copy_when_the_user_planted_links_then_it_reads_and_writes_none_of_them(
    place: Path, secrets: Secrets
) -> None:
    theirs, ours = give(place / "nvram"), place / "machines"
    tpm = give(theirs / "tpm")
    as_user(PLANT, theirs, secrets.file, secrets.folder, "VARS.fd", ".VARS.fd.new", "state/")
    as_user(PLANT, tpm, secrets.file, secrets.folder, "permall", "more/")
    before = secrets.state()
    for source in (theirs / "VARS.fd", theirs / "state"):
        copy_atomically(source, ours / "nvram")
        assert not (ours / "nvram").exists()
    copy_atomically(tpm, ours / "tpm")
    assert not list((ours / "tpm").iterdir())
    (ours / "saved").write_bytes(b"variables")
    copy_atomically(ours / "saved", theirs / "VARS.fd")
    assert (theirs / "VARS.fd").read_bytes() == b"variables"
    assert not (theirs / "VARS.fd").is_symlink()
    assert not same_content(theirs / "state", secrets.folder)
    assert secrets.state() == before


@pytest.mark.parametrize("target", ["in a folder that is a link", "below a folder that is a link"])
def test_copy_when_a_folder_on_the_way_is_a_link_of_the_user_then_refused(
    place: Path, secrets: Secrets, target: str
) -> None:
    theirs = give(place / "qemu")
    as_user(PLANT, theirs, secrets.file, secrets.folder, "nvram/")
    below = theirs / "nvram" if target.startswith("in ") else theirs / "nvram" / "below"
    (place / "saved").write_bytes(b"variables")
    before = secrets.state()
    with pytest.raises(OSError, match="a link of another user"):
        copy_atomically(place / "saved", below / "VARS.fd")
    assert secrets.state() == before


def test_copy_when_the_user_exchanges_files_meanwhile_then_no_secret_comes_out(
    place: Path, secrets: Secrets
) -> None:
    swap = """
import os, sys
os.chdir(sys.argv[1])
open("real", "wb").write(b"variables")
os.symlink(sys.argv[2], "link")
os.mkdir("folder")
while True:
    for name in ("link", "real"):
        for target in ("VARS.fd", ".VARS.fd.new"):
            try:
                os.link(name, "next", follow_symlinks=False)
                os.replace("next", target)
            except OSError:
                pass
"""
    theirs, ours = give(place / "nvram"), place / "machines"
    before = secrets.state()
    ours.mkdir()
    (ours / "saved").write_bytes(b"variables")
    with beside_as_user(swap, theirs, secrets.file):
        for _ in range(300):
            for source, target in (
                (theirs / "VARS.fd", ours / "nvram"),
                (ours / "saved", theirs / "VARS.fd"),
            ):
                try:
                    copy_atomically(source, target)
                except OSError:
                    continue
                assert SECRET not in ((ours / "nvram").read_bytes() if (ours / "nvram").exists()
                                      else b"")  # fmt: skip
    assert secrets.state() == before


def test_folder_when_root_made_the_link_then_it_is_followed(place: Path) -> None:
    (place / "real").mkdir()
    (place / "link").symlink_to("real")
    with opening_folder(place / "link") as fd:
        assert os.fstat(fd).st_ino == (place / "real").stat().st_ino


# what root writes where a command says


def test_report_when_the_name_is_a_link_of_the_user_then_refused(
    place: Path, secrets: Secrets
) -> None:
    theirs = give(place / "home")
    as_user("import os, sys; os.symlink(*sys.argv[1:])", secrets.folder / "new", theirs / "out.gz")
    before = secrets.state()
    with pytest.raises(PizarraError, match="already"):
        report(settings_at(place), theirs / "out.gz", lambda _: None)
    assert secrets.state() == before


def test_export_when_the_user_exchanges_its_folder_meanwhile_then_root_writes_nowhere_else(
    place: Path, secrets: Secrets
) -> None:
    swap = """
import glob, os, sys
os.chdir(sys.argv[1])
while True:
    for part in glob.glob(".out*.part*"):
        try:
            os.rename(part, part.replace(".out", "taken"))
            os.symlink(sys.argv[2], part)
        except OSError:
            pass
"""
    context = Context(host_at(place))
    image = create_image(place / "image", MIB)
    sources = templates.source_of_file(image)
    templates.import_template(context, "debian", sources, kind=Kind.QCOW2)
    theirs = give(place / "home")
    before = secrets.state()
    with beside_as_user(swap, theirs, secrets.folder):
        for number in range(8):
            with suppress(PizarraError):
                export_template(context, "debian", theirs / f"out{number}")
    assert list(theirs.glob("taken*")), "the attack must have been at the right moment"
    assert secrets.state() == before


# the pages' processes


TERMINAL = """
import sys
sys.path[:0] = {path!r}
from pizarra.system.process import beside
look = "import os; print([os.isatty(n) for n in range(3)], os.getsid(0) == os.getpid())"
tty = "open('/dev/tty')"
for script in (look, tty, "print(chr(27) + ']0;owned' + chr(7))"):
    with beside(["/usr/bin/python3", "-c", script], "nobody") as child:
        child.wait(30)
"""


def test_pages_when_root_serves_at_a_terminal_then_they_have_none(place: Path) -> None:
    (place / "script.py").write_text(TERMINAL.format(path=sys.path))
    argv = ["script", "-qec", f"{sys.executable} {place / 'script.py'}", "/dev/null"]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=_LIMIT_S).stdout
    assert "[False, False, False] True" in said
    assert "No such device or address: '/dev/tty'" in said
    assert "owned" in said
    assert "\x1b" not in said
