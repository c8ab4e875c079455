"""Images that come in pieces and become templates, on real qcow2 files."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from pizarra.agent.agent import Agent
from pizarra.compute.memory import MemoryCompute
from pizarra.engine.host import Host, RealStorages
from pizarra.server.jobs.models import Job, State
from pizarra.server.people.models import User
from pizarra.service import uploads
from pizarra.settings import Settings
from tests.web.conftest import serving
from tests.web.test_api import perform, sign_in

School = dict[str, User]
BASE = "/api/v1/uploads"
JSON = "application/json"


@pytest.fixture(autouse=True)
def folder(settings: LazySettings, tmp_path: Path) -> Path:
    """The folder of the pages, empty."""
    settings.PIZARRA = settings.PIZARRA.model_copy(update={"server_folder": tmp_path})
    pages: Path = settings.PIZARRA.pages_folder
    pages.mkdir()
    return pages


@pytest.fixture
def tec(school: School) -> Client:
    client: Client = sign_in("tec", school)
    return client


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Host]:
    given = Settings(folder=tmp_path / "disks", server_folder=tmp_path)
    host = Host(given, MemoryCompute(), RealStorages(given))
    with serving(Agent(host)):
        yield host


def begin_upload(client: Client, size_bytes: int) -> dict[str, Any]:
    answer = client.post(BASE, json.dumps({"size_bytes": size_bytes}), content_type=JSON)
    assert answer.status_code == 201, answer.content
    told: dict[str, Any] = answer.json()
    return told


def put(client: Client, upload: dict[str, Any], offset: int, piece: bytes) -> Any:
    return client.put(f"{BASE}/{upload['id']}?offset={offset}", piece,
                      content_type="application/octet-stream")  # fmt: skip


def import_upload(client: Client, upload: dict[str, Any], **wish: Any) -> Any:
    body = {"template": "boot", "upload": upload["id"], "storage": "qcow2", **wish}
    return client.post("/api/v1/templates", json.dumps(body), content_type=JSON)


def image(folder: Path, *more: str) -> bytes:
    path = folder / "image.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *more, str(path), "1M"], check=True)
    return path.read_bytes()


def test_upload_when_all_pieces_are_there_then_a_job_makes_the_template(
    tec: Client, worker: Host, tmp_path: Path, folder: Path
) -> None:
    data = image(tmp_path)
    upload = begin_upload(tec, len(data))
    for at in range(0, len(data), 100_000):
        assert put(tec, upload, at, data[at : at + 100_000]).status_code == 200
    assert tec.get(f"{BASE}/{upload['id']}").json()["received"] == len(data)
    assert import_upload(tec, upload).status_code == 202
    perform(Job.objects.get())
    assert Job.objects.get().state == State.ENDED, Job.objects.get().error
    template = worker.observe().template("boot")
    assert (template.version, template.volumes[0].size_bytes) == (1, 1 << 20)
    assert not list((folder / uploads.FOLDER).iterdir())


def test_piece_when_lost_on_the_way_then_it_is_sent_again_and_counts_once(
    tec: Client, folder: Path
) -> None:
    upload = begin_upload(tec, 10)
    assert put(tec, upload, 0, b"01234").status_code == 200
    for wrong in (0, 4, 6, 1 << 40):
        answer = put(tec, upload, wrong, b"xxxxx")
        assert answer.status_code == 400
        assert "5" in answer.json()["detail"]
    assert put(tec, upload, 5, b"567890").status_code == 400  # longer than was said
    assert put(tec, upload, 5, b"56789").json()["received"] == 10
    path = folder / uploads.FOLDER / f"{upload['id']}.image"
    assert path.read_bytes() == b"0123456789"


def test_import_when_a_piece_is_missing_then_refused(tec: Client) -> None:
    upload = begin_upload(tec, 10)
    put(tec, upload, 0, b"01234")
    answer = import_upload(tec, upload)
    assert (answer.status_code, Job.objects.count()) == (400, 0)
    assert "5 of 10" in answer.json()["detail"]


@pytest.mark.parametrize("what", ["nonsense", "on another image"])
def test_import_when_the_image_is_none_of_ours_then_the_job_says_so_and_the_upload_stays(
    tec: Client, worker: Host, tmp_path: Path, folder: Path, what: str
) -> None:
    (tmp_path / "base").write_bytes(bytes(1 << 20))
    data = b"PK\3\4" + bytes(1 << 16)
    if what == "on another image":
        data = image(tmp_path, "-b", str(tmp_path / "base"), "-F", "raw")
    upload = begin_upload(tec, len(data))
    put(tec, upload, 0, data)
    import_upload(tec, upload)
    perform(Job.objects.get())
    job = Job.objects.get()
    assert job.state == State.FAILED
    told = job.error or {}
    assert told["says"].startswith("The upload cannot be imported")
    assert "La subida" in told["says_in"]["es"]
    assert not worker.observe().templates
    assert len(list((folder / uploads.FOLDER).glob("*.image"))) == 1


@pytest.mark.parametrize("trick", ["symlink", "hard link", "fifo"])
def test_worker_when_the_pages_user_puts_something_else_there_then_it_reads_nothing(
    tec: Client, worker: Host, tmp_path: Path, folder: Path, trick: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"root's" + bytes(1 << 20))
    upload = begin_upload(tec, 6)
    put(tec, upload, 0, b"harmle")
    import_upload(tec, upload)
    path = folder / uploads.FOLDER / f"{upload['id']}.image"
    path.unlink()
    if trick == "symlink":
        path.symlink_to(secret)
    elif trick == "hard link":
        path.hardlink_to(secret)
    else:
        os.mkfifo(path)
    perform(Job.objects.get())
    assert (Job.objects.get().error or {})["code"] == "not_found"
    assert not worker.observe().templates


def test_upload_when_it_does_not_fit_then_both_numbers_are_told(tec: Client) -> None:
    answer = tec.post(BASE, json.dumps({"size_bytes": 1 << 44}), content_type=JSON)
    assert answer.status_code == 507
    assert "16 TiB" in answer.json()["detail"]


def test_upload_when_there_are_three_then_no_fourth_until_one_ends(tec: Client) -> None:
    mine = [begin_upload(tec, 10) for _ in range(3)]
    body = json.dumps({"size_bytes": 10})
    assert tec.post(BASE, body, content_type=JSON).status_code == 409
    assert tec.delete(f"{BASE}/{mine[0]['id']}").status_code == 204
    assert tec.get(f"{BASE}/{mine[0]['id']}").status_code == 404
    begin_upload(tec, 10)


def test_upload_when_left_for_a_day_then_it_goes(tec: Client, folder: Path) -> None:
    for _ in range(3):
        left = begin_upload(tec, 10)
        os.utime(folder / uploads.FOLDER / f"{left['id']}.image", (0, 0))
    begin_upload(tec, 10)
    assert len(list((folder / uploads.FOLDER).glob("*.image"))) == 1


def test_upload_when_it_is_another_technicians_then_not_found(tec: Client, school: School) -> None:
    upload = begin_upload(tec, 10)
    school["bob"].role = "technician"
    school["bob"].save()
    other = sign_in("bob", school)
    assert put(other, upload, 0, b"01234").status_code == 404
    assert import_upload(other, upload).status_code == 404
