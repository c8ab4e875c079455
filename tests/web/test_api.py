"""The API: every operation with every kind of caller, jobs, tokens, and a second click."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from pizarra.agent.agent import Agent
from pizarra.engine.halts import Halt, forget_halts, put_halt
from pizarra.errors import ComputeFault
from pizarra.server import hosts
from pizarra.server.api import answers
from pizarra.server.api.operations import api
from pizarra.server.consoles.activity import Activity
from pizarra.server.jobs.models import AuditEntry, Job, State
from pizarra.server.jobs.pump import Pump, follow
from pizarra.server.people.models import ApiToken, User
from pizarra.server.permissions import Rule, rule_of
from pizarra.server.rooms.models import Room, SeatAssignment
from pizarra.server.serve import demonstration_host
from pizarra.settings import Settings
from tests.web.conftest import serving
from tests.web.test_permissions import NET_01

School = dict[str, User]
PEOPLE = ("", "eva", "leo", "ada", "bob", "tec")
NOBODYS = "00000000-0000-4000-8000-000000000000"
BODIES: dict[str, Any] = {
    "/classrooms": {"classroom": "fresh", "template": "debian", "seats": 2},
    "/join": {"code": "NOSUCH"},
    "/tokens": {"name": "t", "scopes": ["read"]},
    "/classrooms/{classroom}/roster": {"csv": "1,eva"},
    "/uploads": {"size_bytes": 10},
    "/templates": {"template": "t", "upload": NOBODYS},
    "/classrooms/{classroom}/checkpoints/{checkpoint}/hand-out": {"source": 1},
    "/classrooms/{classroom}/checkpoints/{checkpoint}/export": {"source": 1, "folder": "out"},
    "/classrooms/{classroom}": {"file": "classroom: net"},
    "/classrooms/{classroom}/changes": {"file": "classroom: net"},
    "/classrooms/{classroom}/swap-data": {"one": 1, "other": 2},
    "/classrooms/{classroom}/adopt": {"domains": ["win11"]},
    "/classrooms/{classroom}/adoption": {"domains": ["win11"]},
    "/templates/{template}/export": {"folder": "out"},
    "/host/backup": {"folder": "/srv/backup"},
    "/host/restore": {"folder": "/srv/backup"},
}


def operations() -> list[tuple[str, str, Rule | None]]:
    """(method, path, rule) of every operation, as the API itself knows them."""
    return [
        (method, path, rule_of(operation.view_func))
        for prefix, router in api._routers
        for path, view in ((prefix + key, one) for key, one in router.path_operations.items())
        for operation in view.operations
        for method in operation.methods
    ]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """A classroom of four in memory, with its agent behind the door that the pages know."""
    monkeypatch.setenv("PIZARRA_STATE_FOLDER", str(tmp_path / "state"))
    monkeypatch.setenv("PIZARRA_RUN_FOLDER", str(tmp_path / "run"))
    agent = Agent(demonstration_host(Settings(), 4))
    with serving(agent):
        yield agent


def perform(job: Job) -> None:
    """Run a job to its end, as the pump does."""
    follow(job, hosts.host())


def sign_in(who: str, school: School) -> Any:
    client = Client()
    if who:
        client.force_login(school[who])
    return client


def own(path: str, who: str) -> Any:
    """A body with a classroom's name of the caller's own, for a new classroom."""
    return {"classroom": f"fresh-{who or 'x'}"} if path == "/classrooms" else None


def request(client: Client, method: str, path: str, body: Any = None) -> Any:
    real = (
        path.replace("{classroom}", "net")
        .replace("{int:number}", "1")
        .replace("{name}", "lesson")
        .replace("{checkpoint}", "lesson")
        .replace("{template}", "debian")
        .replace("{seat}", "net-01")
        .replace("{path:name}", "nothing")
        .replace("{verb}", "verify")
        .replace("{int:token_id}", "999999")
        .replace("{uuidstr:job_id}", NOBODYS)
        .replace("{uuidstr:upload_id}", NOBODYS + "?offset=0" * (method == "PUT"))
    )
    data = None if method in ("GET", "DELETE") else json.dumps(BODIES.get(path, {}) | (body or {}))
    send = getattr(client, method.lower())
    more = {} if data is None else {"data": data, "content_type": "application/json"}
    return send(f"/api/v1{real}", **more)


@pytest.mark.parametrize(("method", "path", "rule"), operations())
def test_operation_when_asked_by_anybody_then_only_those_of_its_rule_get_further(
    method: str, path: str, rule: Rule | None, school: School, host: Agent
) -> None:
    assert host
    assert rule is not None, "an operation without a rule"
    refused = {
        who
        for who in PEOPLE
        if request(sign_in(who, school), method, path, own(path, who)).status_code in (401, 403)
    }
    assert refused == set(PEOPLE) - NET_01[rule]


def test_operations_when_listed_then_the_description_has_them(client: Client) -> None:
    told = client.get("/api/v1/openapi.json").json()
    found = {(m.upper(), p) for p, one in told["paths"].items() for m in one}
    assert len(found) == len(operations()) > 25


def test_reset_when_asked_twice_then_one_job_and_the_agent_does_it(
    school: School, host: Agent
) -> None:
    assert host
    ada = sign_in("ada", school)
    path = "/classrooms/{classroom}/verbs/reset"
    first, second = request(ada, "POST", path), request(ada, "POST", path)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] == second.json()["id"]
    perform(Job.objects.get())
    told = ada.get(f"/api/v1/jobs/{first.json()['id']}").json()
    assert told["state"] == State.ENDED
    assert {seat["outcome"] for seat in told["result"]["seats"]} == {"done"}
    entries = AuditEntry.objects.filter(action="reset")
    assert [one.outcome for one in entries] == ["done", "done"], "every request is audited"
    events = [one.event["event"] for one in Job.objects.get().events.all()]
    assert events.count("settled") == 4
    third = request(ada, "POST", path)
    assert third.json()["id"] != first.json()["id"], "that one has ended"


def test_job_when_another_asks_for_it_then_only_its_user_and_their_teachers_see_it(
    school: School, host: Agent
) -> None:
    assert host
    eva = sign_in("eva", school)
    job = request(eva, "POST", "/classrooms/{classroom}/seats/{int:number}/reset").json()
    seen = {who: sign_in(who, school).get(f"/api/v1/jobs/{job['id']}").status_code
            for who in PEOPLE}  # fmt: skip
    assert {who for who, status in seen.items() if status == 200} == {"eva", "ada", "tec"}


def test_job_when_the_key_is_the_same_then_so_is_the_job(school: School, host: Agent) -> None:
    assert host
    ada = sign_in("ada", school)
    send = {"data": "{}", "content_type": "application/json", "HTTP_IDEMPOTENCY_KEY": "k1"}
    first = ada.post("/api/v1/classrooms/net/verbs/stop", **send).json()
    perform(Job.objects.get())
    assert ada.post("/api/v1/classrooms/net/verbs/stop", **send).json()["id"] == first["id"]


def test_job_when_the_agent_is_begun_again_in_it_then_it_is_submitted_again_three_times_at_most(
    school: School, host: Agent
) -> None:
    request(sign_in("ada", school), "POST", "/classrooms/{classroom}/verbs/start")
    job = Pump(hosts.host()).take()
    assert job is not None
    assert Pump(hosts.host()).take() is None, "nobody takes it twice"
    job.attempts = 1  # an agent before this one had it
    perform(job)
    assert (job.state, job.attempts) == (State.ENDED, 2)
    again = Job.objects.create(host="local", use_case="start", classroom="net", attempts=3,
                               arguments={"classroom": "net"}, state=State.RUNNING)  # fmt: skip
    perform(again)
    assert again.state == State.FAILED
    assert (again.error or {})["code"] == "agent_died"
    assert host


def test_job_when_the_arguments_cannot_be_then_it_fails_and_says_why(
    school: School, host: Agent
) -> None:
    assert host
    job = Job.objects.create(host="local", use_case="reset", arguments={"classroom": "../x"},
                             user=school["tec"])  # fmt: skip
    perform(job)
    assert job.error
    assert "cannot be the name" in job.error["says"]


def test_token_when_it_lacks_the_scope_then_403_and_when_unknown_401(
    school: School, host: Agent
) -> None:
    assert host
    _, token = ApiToken.issue(school["ada"], "t", ["read"])
    client: Any = Client()
    path = "/api/v1/classrooms/net"
    with_token = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    assert client.get(path, **with_token).status_code == 200
    send = {"data": "{}", "content_type": "application/json"}
    assert client.post(f"{path}/verbs/start", **send, **with_token).status_code == 403
    assert client.get(path, HTTP_AUTHORIZATION="Bearer piz_nothing").status_code == 401
    assert ApiToken.objects.get().digest != token


def test_session_when_the_form_has_no_csrf_token_then_403(school: School, host: Agent) -> None:
    assert host
    client: Any = Client(enforce_csrf_checks=True)
    client.force_login(school["ada"])
    send = {"data": "{}", "content_type": "application/json"}
    assert client.post("/api/v1/classrooms/net/verbs/start", **send).status_code == 403
    assert not Job.objects.exists()


def test_roster_when_a_line_is_wrong_then_told_by_line_and_nothing_is_changed(
    school: School, host: Agent
) -> None:
    assert host
    ada, path = sign_in("ada", school), "/classrooms/{classroom}/roster"
    text = "seat,user,name\n1,eva\n2,eva\n9,zoe\n3,a b\n4,bob\n"
    told = request(ada, "POST", path, {"csv": text, "apply": True}).json()
    assert [one["line"] for one in told["errors"]] == [3, 4, 5, 6]
    assert not told["applied"]
    good = request(ada, "POST", path, {"csv": "3;zoe;Zoe Ruiz\n1;leo\n", "apply": True}).json()
    assert good["applied"]
    assert good["rows"][0]["first_password"]
    sits = {s.number: s.student.username for s in SeatAssignment.objects.exclude(student=None)
            if s.student}  # fmt: skip
    assert sits == {1: "leo", 3: "zoe"}


def test_join_when_the_code_is_right_then_a_free_seat_and_always_the_same(
    school: School, host: Agent
) -> None:
    assert host
    ada = sign_in("ada", school)
    code = request(ada, "POST", "/classrooms/{classroom}/code").json()["class_code"]
    zoe = User.objects.create_user("zoe", password="x")
    client: Any = Client()
    client.force_login(zoe)
    send = {"data": json.dumps({"code": code.lower()}), "content_type": "application/json"}
    seats = [client.post("/api/v1/join", **send).json() for _ in range(2)]
    assert seats == [{"classroom": "net", "number": 3}] * 2
    wrong = {"data": json.dumps({"code": ""}), "content_type": "application/json"}
    assert client.post("/api/v1/join", **wrong).status_code == 400


def test_ticket_when_the_seat_is_let_go_or_anothers_then_it_opens_nothing(
    school: School, host: Agent
) -> None:
    from pizarra.server.consoles.tickets import admit, ticket_for
    from pizarra.server.jobs.effects import release_consoles

    assert host
    ticket = ticket_for(school["eva"], "net", 1)
    found = admit(ticket, school["eva"])
    assert found and (found.classroom, found.number) == ("net", 1)
    assert admit(ticket, school["leo"]) is None
    assert admit(ticket + "x", school["eva"]) is None
    release_consoles(Room.objects.get(name="net"), [1])
    assert admit(ticket, school["eva"]) is None
    empty = ticket_for(school["ada"], "net", 4)  # nobody sits there
    assert admit(empty, school["ada"])
    release_consoles(Room.objects.get(name="net"), None)
    assert admit(empty, school["ada"]) is None


def test_room_when_a_machine_was_adopted_under_its_own_name_then_its_number_is_told(
    school: School,
) -> None:
    seats = [{"seat": "web01", "number": 1, "power": "off"}]
    room = {"classroom": "net", "seats": seats}
    told = answers.status(school["ada"], {"classroom": "net"}, lambda: room)
    assert [(one["seat"], one["number"], one["student"]) for one in told["seats"]] == [
        ("web01", 1, "eva")
    ]


def test_room_when_it_is_being_made_then_its_job_is_told_and_else_404(
    school: School, host: Agent
) -> None:
    assert host
    ada = sign_in("ada", school)
    request(ada, "POST", "/classrooms", {"classroom": "fresh"})
    told = ada.get("/api/v1/classrooms/fresh").json()
    assert (told["seats"], [job["use_case"] for job in told["jobs"]]) == ([], ["classroom create"])
    assert not Room.objects.filter(name="fresh").exists()
    Job.objects.update(state=State.FAILED)
    assert ada.get("/api/v1/classrooms/fresh").status_code == 403, "a failed one is nobody's"


def test_job_when_it_gives_reasons_then_in_english_with_spanish_beside(
    school: School, host: Agent
) -> None:
    assert host

    def run_job(use_case: str, classroom: str) -> Job:
        wish = {"use_case": use_case, "arguments": {"classroom": classroom}}
        job = Job.objects.create(host="local", classroom=classroom, user=school["tec"], **wish)
        perform(job)
        return job

    run_job("start", "net")
    job = run_job("start", "net")
    assert job.result
    told = [job.result["seats"][0], job.events.latest("seq").event]
    assert {one["reason"] for one in told} == {"it runs already"}
    assert {one["reason_in"]["es"] for one in told} == {"ya está en marcha"}
    error = run_job("start", "nosuch").error
    assert error
    assert error["says_in"]["es"] == "No hay ningún aula 'nosuch'."


def test_host_when_it_refuses_then_the_answer_has_its_words_in_spanish_too(
    school: School, host: Agent
) -> None:
    assert host
    Room.objects.create(name="nosuch", host="local")
    answer = sign_in("tec", school).get("/api/v1/classrooms/nosuch/plan")
    assert answer.status_code == 404
    assert answer.json()["detail_in"]["es"] == "No hay ningún aula 'nosuch'."


def test_room_when_a_console_was_touched_then_how_long_ago_is_told(
    school: School, host: Agent
) -> None:
    asks_for_the_picture, key = bytes([3, 0]), bytes([4, 1])
    of_seat = Activity()
    assert [of_seat.is_due(one) for one in (asks_for_the_picture, key, key)] == [False, True, False]
    with pytest.raises(ComputeFault):  # a machine in memory has none
        host.console("net", 2)
    for number in (1, 2):  # nobody asked for a console of the first
        hosts.host().record_activity("net", number)
    seats = sign_in("ada", school).get("/api/v1/classrooms/net").json()["seats"]
    assert [seat["number"] for seat in seats if seat["active_s_ago"] is not None] == [2]


def test_seat_when_the_guard_paused_its_machine_then_student_and_teacher_are_told(
    school: School, host: Agent
) -> None:
    path, compute = "/api/v1/classrooms/net/seats/1", host.host.compute
    (seat,) = [one for one in host.host.observe().classroom("net").seats if one.number == 1]
    compute.start(seat.domain_uuid)
    assert sign_in("eva", school).get(path).json()["reason"] is None
    compute.pause(seat.domain_uuid)
    put_halt(host.host.settings.halt_folder, seat, Halt.SPACE)
    host.forget_answers()
    for told in (
        sign_in("eva", school).get(path).json(),
        sign_in("ada", school).get("/api/v1/classrooms/net").json()["seats"][0],
    ):
        assert told["reason"].startswith("it is paused, for its storage is nearly full")
        assert told["reason_in"]["es"].startswith("está en pausa")
    forget_halts(host.host.settings.halt_folder, [seat])


def test_own_checkpoint_when_a_student_keeps_work_then_within_the_quota_and_only_their_own(
    school: School, host: Agent
) -> None:
    eva, leo = sign_in("eva", school), sign_in("leo", school)
    mine = "/api/v1/classrooms/net/seats/1/checkpoints"
    for number in (1, 2):
        assert eva.post(mine).status_code == 202
        for job in Job.objects.filter(state=State.QUEUED):
            perform(job)
        host.forget_answers()
        assert [one["checkpoint"] for one in eva.get(mine).json()] == [
            f"own-{n}" for n in range(1, number + 1)
        ]
    assert eva.post(mine).status_code == 409, "the quota of the classroom is two"
    assert leo.get(mine).status_code == 403
    assert leo.post(f"{mine}/own-1/restore").status_code == 403
    assert eva.post(f"{mine}/lesson-3/restore").status_code == 404, "that is the class's"
    assert eva.post(f"{mine}/own-1/restore").status_code == 202


def test_freeze_when_it_has_a_message_then_students_read_it_until_all_go_on(
    school: School, host: Agent
) -> None:
    assert host
    ada, eva = sign_in("ada", school), sign_in("eva", school)
    verbs, seat = "/api/v1/classrooms/net/verbs", "/api/v1/classrooms/net/seats/1"
    sent = json.dumps({"message": "Eyes on me"})
    assert ada.post(f"{verbs}/freeze", sent, "application/json").status_code == 202
    assert eva.get(seat).json()["message"] == "Eyes on me"
    assert sign_in("leo", school).get(seat).status_code == 403
    assert ada.post(f"{verbs}/unfreeze", "{}", "application/json").status_code == 202
    assert eva.get(seat).json()["message"] == ""


def test_freeze_when_it_is_for_some_then_only_they_read_it(school: School, host: Agent) -> None:
    assert host
    ada, room = sign_in("ada", school), Room.objects.get(name="net")

    def messages_after(verb: str, **how: str) -> list[str]:
        path = f"/api/v1/classrooms/net/verbs/{verb}"
        assert ada.post(path, json.dumps(how), "application/json").status_code == 202
        room.refresh_from_db()
        return [room.message_to(number) for number in (1, 2, 3)]

    assert messages_after("freeze", message="Stop", seats="1") == ["Stop", "", ""]
    assert messages_after("freeze", message="Look", seats="2") == ["Look", "Look", ""]
    assert messages_after("freeze", seats="3") == ["Look", "Look", ""]
    assert messages_after("unfreeze", seats="1") == ["", "Look", ""]
    assert messages_after("unfreeze", seats="2") == ["", "", ""]
    assert messages_after("freeze", message="All") == ["All", "All", "All"]
    assert messages_after("unfreeze", seats="2") == ["All", "", "All"]
    assert messages_after("freeze") == ["", "", ""]


@pytest.mark.parametrize("name", ["backup", "restore"])
def test_backup_when_a_technician_asks_elsewhere_then_the_host_refuses(
    school: School, host: Agent, tmp_path: Path, name: str
) -> None:
    assert host
    body = {"folder": str(tmp_path / "backup")}
    answer = request(sign_in("tec", school), "POST", f"/host/{name}", body)
    assert answer.status_code == 202
    job = Job.objects.get(use_case=name)
    perform(job)
    job.refresh_from_db()
    assert (job.error or {})["code"] == "forbidden"
    assert not (tmp_path / "backup").exists()
