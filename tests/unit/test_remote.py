"""What goes to a server elsewhere, and what never goes anywhere."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pizarra.cli import remote, server_option, words
from pizarra.cli.documents import report_of
from pizarra.cli.plan import show_plan
from pizarra.errors import BadInput, HostNotFit
from pizarra.model.outcome import Outcome, Report, SeatOutcome
from pizarra.service.languages import catalogue


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("pizarra --token piz_1 status net", "pizarra --token … status net"),
        ("pizarra --token=piz_1 status net", "pizarra --token=… status net"),
        ("pizarra status net", "pizarra status net"),
    ],
)
def test_flight_record_when_a_token_was_typed_then_is_not_in_it(typed: str, kept: str) -> None:
    assert " ".join(server_option.without_token(typed.split())) == kept


def test_report_when_sent_and_read_back_then_is_the_same() -> None:
    seat = SeatOutcome(seat="net-01", outcome=Outcome.FAILED, reason="why", verified=False,
                       timings_ms={"stop": 1.5}, extra={"number": 1})  # fmt: skip
    report = Report(classroom="net", verb="reset", mode="cold", elapsed_s=1.5, seats=(seat,),
                    extra={"disks_ms": 5.0})  # fmt: skip
    assert report_of(report.to_json()) == report


@pytest.mark.parametrize("url", ["pizarra.example.org", "ftp://pizarra", "http://", "file:///etc"])
def test_server_when_it_is_none_then_says_how_to_name_one(url: str) -> None:
    with pytest.raises(BadInput, match="is no server"):
        remote.Server(url, "piz_1")


def test_server_when_nobody_answers_then_is_not_fit() -> None:
    with pytest.raises(HostNotFit, match="does not answer"):
        remote.Server("http://127.0.0.1:9", "piz_1").request("GET", "/classrooms")


def test_command_when_a_server_is_named_and_it_is_for_the_host_then_never_done_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(server_option.SERVER, "https://pizarra.example.org")
    with pytest.raises(BadInput, match="for the host itself"):
        server_option.only_here()


def test_server_when_another_program_answers_then_is_not_taken_for_pizarra() -> None:
    class Hello(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *_args: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Hello) as other:
        threading.Thread(target=other.handle_request, daemon=True).start()
        with pytest.raises(HostNotFit, match="not as Pizarra does"):
            remote.Server(f"http://127.0.0.1:{other.server_port}", "piz_1").request(
                "GET", "/classrooms"
            )


@pytest.mark.parametrize(
    ("url", "warns"),
    [
        ("http://pizarra.example.org", True),
        ("https://pizarra.example.org", False),
        ("http://127.0.0.1:8000", False),
    ],
)
def test_server_when_the_way_is_open_to_all_then_says_so(
    url: str, warns: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    remote.Server(url, "piz_1")
    assert ("Without https" in capsys.readouterr().err) is warns


def test_plan_when_a_server_tells_it_then_is_shown_as_that_of_this_host(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "spoken", catalogue("es"))
    seat = {"seat": "net-01", "steps": ["rewind", "prove"], "outcome": None, "reason": None,
            "no_undo": "it is of stone", "no_undo_in": {"es": "es de piedra"}}  # fmt: skip
    plan = remote.restore_sentences({"seats": [seat]})
    assert "no_undo_in" not in plan["seats"][0]
    show_plan(plan, as_json=False)
    said = capsys.readouterr().out
    assert "net-01" in said
    assert "es de piedra" in said
