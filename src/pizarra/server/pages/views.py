"""The views of the pages: sign-in, the home of each role, the wall, the room and the host."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_list_or_404, get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.i18n import set_language

from pizarra.errors import BadInput, PizarraError
from pizarra.model.names import parse_number
from pizarra.model.policy import MINUTES_MAX
from pizarra.server.api.answers import own_classrooms
from pizarra.server.commands import ask, submit
from pizarra.server.hosts import host, in_language
from pizarra.server.jobs.audit import audit_for
from pizarra.server.jobs.models import OPEN, Job, State
from pizarra.server.jobs.queue import write_audit
from pizarra.server.pages.words import console_words, upload_words, wall_words
from pizarra.server.people import guesses
from pizarra.server.people.acts import make_token, revoke_token
from pizarra.server.people.first_visit import WrongCode, has_technician, make_first_technician
from pizarra.server.people.models import Role, Scope, User
from pizarra.server.people.usernames import parse_username, username_fault
from pizarra.server.permissions import Rule, may, rule
from pizarra.server.rooms import acts
from pizarra.server.rooms.models import Room


class SignIn(LoginView):
    """The form with name and password. Each try is in the audit, and counts for the throttles."""

    rule = Rule.ANYBODY
    template_name = "sign_in.html"
    redirect_authenticated_user = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The form; where nobody can sign in yet, the page of the first visit."""
        if not has_technician():
            return redirect("first-visit")
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Check the password, unless too many wrong ones came."""
        if guesses.is_closed(self._counts()):
            wait = {"Retry-After": str(guesses.WINDOW_S)}
            shown = {"is_throttled": True, "next": ""}
            return self.render_to_response(shown, status=429, headers=wait)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Sign in, and remember the browser."""
        guesses.forget(self._counts())
        answer, user = super().form_valid(form), _user(self.request)
        write_audit(user, "sign-in", request=self.request)
        guesses.remember_browser(self.request, answer, user)
        return answer

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Count the guess."""
        was_last = guesses.count_wrong(self._counts())
        # what is no user's name may be a password that somebody typed in the wrong field
        known = User.objects.filter(username=self._name()).values_list("username", flat=True)
        write_audit(None, "sign-in", target=(known.first() or "")[:80], request=self.request,
                    outcome="throttled" if was_last else "refused")  # fmt: skip
        return super().form_invalid(form)

    def _name(self) -> str:
        return self.request.POST.get("username", "").strip()

    def _counts(self) -> guesses.Counts:
        return guesses.password_counts(self.request, self._name())


@rule(Rule.ANYBODY)
def first_visit(request: HttpRequest) -> HttpResponse:
    """The page of the first technician, who has a code of root's. Later there is no such page."""
    if has_technician():
        raise Http404
    shown, status = {"username": request.POST.get("username", "technician")[:150]}, 200
    if request.method == "POST":
        counts = guesses.first_code_counts(request)
        if guesses.is_closed(counts):
            shown["problem"] = _(
                "There were too many wrong codes. Try again in a quarter of an hour."
            )
            return render(request, "first_visit.html", shown, status=429)
        given = (request.POST.get(one, "") for one in ("username", "password", "again", "code"))
        try:
            user = make_first_technician(*given)
        except WrongCode as error:
            guesses.count_wrong(counts)
            write_audit(None, "first visit", request=request, outcome="refused")
            shown["problem"], status = str(error), 403
        except ValueError as error:
            shown["problem"], status = str(error), 400
        else:
            login(request, user)
            write_audit(user, "first visit", target=user.username, request=request)
            return redirect("home")
    return render(request, "first_visit.html", shown, status=status)


class SignOut(LogoutView):
    """Sign out, by POST only."""

    rule = Rule.ANYBODY

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Sign out whoever is signed in."""
        if isinstance(request.user, User):
            write_audit(request.user, "sign-out", request=request)
        return super().post(request, *args, **kwargs)


@rule(Rule.ANYBODY)
def language(request: HttpRequest) -> HttpResponseBase:
    """Change the language, and save it with the signed-in user."""
    wanted = request.POST.get("language", "")
    if isinstance(request.user, User) and wanted in ("en", "es"):
        request.user.language = wanted
        request.user.save(update_fields=["language"])
    return set_language(request)


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User), "the rule lets nobody else in"
    return request.user


def _problem_page(error: PizarraError) -> str:
    """An error, and what to do, in the reader's language."""
    return in_language(error, (get_language() or "")[:2])


@rule(Rule.SIGNED_IN)
def home(request: HttpRequest) -> HttpResponse:
    """The first page of each role."""
    user = _user(request)
    if user.role == Role.STUDENT:
        seats = user.assignments.select_related("room")
        return render(request, "home_student.html", {"seats": seats})
    try:
        there = own_classrooms(user, {}, partial(ask, user, "classroom list"))
    except PizarraError as error:
        return render(request, "home_staff.html", {"rooms": [], "problem": _problem_page(error)})
    return render(request, "home_staff.html", {"rooms": [_card(one) for one in there]})


def _card(told: dict[str, Any]) -> dict[str, Any]:
    last = Job.objects.filter(
        classroom=told["classroom"], use_case="reset", state=State.ENDED
    ).first()
    text = ""
    if last and last.result:
        well = sum(s["outcome"] in ("done", "unchanged") for s in last.result["seats"])
        text = ngettext(
            "Last reset: {n} machine original in {s:.1f} s",
            "Last reset: {n} machines original in {s:.1f} s",
            well,
        ).format(n=well, s=last.result["elapsed_s"])
    return {**told, "count": len(told["seats"]),
            "trouble": len(told["faults"]), "last_reset": text}  # fmt: skip


@rule(Rule.ROOM_TEACHER)
def wall(request: HttpRequest, classroom: str) -> HttpResponse:
    """The wall of a classroom. Its script fills in the machines."""
    room = Room.objects.filter(name=classroom).first() or _room_being_made(classroom)
    return render(request, "wall.html", {"room": room, "words": wall_words()})


def _room_being_made(classroom: str) -> Room:
    """Raises Http404."""
    get_list_or_404(Job, classroom=classroom, state__in=OPEN)
    return Room(name=classroom)


@rule(Rule.SEAT_USER)
def console(request: HttpRequest, classroom: str, number: int) -> HttpResponse:
    """The console of one machine."""
    user, room = _user(request), get_object_or_404(Room, name=classroom)
    return render(
        request,
        "console.html",
        {
            "classroom": classroom,
            "number": number,
            "words": console_words(),
            "may_reset": may(user, Rule.SEAT_RESET, classroom, number),
            "may_keep": may(user, Rule.SEAT_CHECKPOINT, classroom, number),
            "quota": room.checkpoint_quota,
            "may_restart": may(user, Rule.SEAT_RESTART, classroom, number),
        },
    )


@rule(Rule.SIGNED_IN)
def join(request: HttpRequest) -> HttpResponse:
    """Take a seat with a class code."""
    user, code = _user(request), request.POST.get("code", "")
    try:
        seat = acts.join(user, code, request)
    except PizarraError as error:
        seats = user.assignments.select_related("room")
        problem = _problem_page(error)
        return render(
            request,
            "home_student.html",
            {"seats": seats, "problem": problem},
            status=error.http_status,
        )
    return redirect("console", classroom=seat.room.name, number=seat.number)


@rule(Rule.ROOM_TEACHER)
def room(request: HttpRequest, classroom: str) -> HttpResponse:
    """People, rules, checkpoints and history of a classroom."""
    found = get_object_or_404(Room, name=classroom)
    shown: dict[str, Any] = {"room": found}
    try:
        if request.method == "POST":
            answer = _act_on_room(request, found, shown)
            if answer is not None:
                return answer
        shown["checkpoints"] = [
            {**one, "when": datetime.fromtimestamp(one["saved"], UTC)}
            for one in ask(_user(request), "checkpoint list", {"classroom": classroom})
        ]
    except PizarraError as error:
        shown["problem"] = _problem_page(error)
    shown["seats"] = found.assignments.select_related("student")
    shown["entries"] = audit_for(_user(request)).filter(classroom=classroom)[:30]
    return render(request, "room.html", shown)


def _act_on_room(request: HttpRequest, found: Room, shown: dict[str, Any]) -> HttpResponse | None:
    act, user = request.POST.get("act"), _user(request)
    if act == "code":
        acts.renew_code(user, found, request)
        return redirect("room", classroom=found.name)
    if act == "policy":
        found.students_may_reset = "students_may_reset" in request.POST
        found.students_may_restart = "students_may_restart" in request.POST
        found.save()
        write_audit(user, "policy", found.name, request=request)
        return redirect("room", classroom=found.name)
    if act == "lesson":
        minutes = parse_number(request.POST.get("minutes", ""))
        if minutes is None or minutes > MINUTES_MAX:
            raise BadInput("A lesson lasts 0 to {most} minutes.", most=MINUTES_MAX)
        left = timedelta(minutes=minutes)
        found.ends_at = timezone.now() + left if left else None
        found.save(update_fields=["ends_at"])
        write_audit(user, "lesson", found.name, facts={"minutes": minutes}, request=request)
        return redirect("room", classroom=found.name)
    if act in ("restore", "forget"):
        name = "checkpoint restore" if act == "restore" else "checkpoint delete"
        wish = {"classroom": found.name, "checkpoint": request.POST.get("checkpoint", "")}
        submit(user, name, wish, request=request)
        messages.info(request, _("It is under way."))
        return redirect("wall" if act == "restore" else "room", classroom=found.name)
    shown["csv"], shown["course"] = request.POST.get("csv", ""), request.POST.get("course", "")
    if file := request.FILES.get("file"):
        shown["csv"], shown["roster"] = acts.read_roster_file(found, file.read(), shown["course"])
        if shown["roster"].errors:
            return None
    read, _applied = acts.put_roster(
        user, found, shown["csv"], apply=act == "apply", request=request
    )
    shown["roster"] = read
    return None


@rule(Rule.STAFF)
def classroom_new(request: HttpRequest) -> HttpResponse:
    """The form that makes a classroom."""
    names = ("classroom", "title", "template", "seats", "memory_mib", "identify", "warm")
    form = {name: request.POST.get(name, "") for name in names}
    shown: dict[str, Any] = {"form": form}
    user = _user(request)
    try:
        shown["templates"] = sorted({one["template"] for one in ask(user, "template list")})
        shown["pools"] = host().query("pools")
        if request.method == "POST":
            wish = {**form, "identify": bool(form["identify"]), "warm": bool(form["warm"])}
            wish |= {name: _number(form[name]) for name in ("seats", "memory_mib")}
            submit(user, "classroom create", wish, request=request)
            if may(user, Rule.ROOM_TEACHER, form["classroom"]):
                return redirect("wall", classroom=form["classroom"])
            messages.info(request, _("It is under way."))
            return redirect("home")
    except PizarraError as error:
        shown["problem"] = _problem_page(error)
    except PermissionDenied:  # it is another teacher's
        shown["problem"] = _("There is a classroom of this name already.")
        return render(request, "classroom_new.html", shown, status=409)
    return render(request, "classroom_new.html", shown, status=400 if "problem" in shown else 200)


def _number(text: str) -> int:
    """Raises BadInput."""
    number = parse_number(text.strip())
    if number is None:
        raise BadInput("Machines and memory are numbers.", "Write digits from 0 to 9.")
    return number


@rule(Rule.STAFF)
def activity(request: HttpRequest) -> HttpResponse:
    """The audit: for a teacher of their own classrooms, for a technician of all."""
    return render(request, "activity.html", {"entries": audit_for(_user(request))[:200]})


@rule(Rule.TECHNICIAN)
def storage(request: HttpRequest) -> HttpResponse:
    """The pools and the templates of the host."""
    try:
        pools, templates = host().query("pools"), ask(_user(request), "template list")
    except PizarraError as error:
        return render(request, "storage.html", {"problem": _problem_page(error)})
    for pool in pools:
        used, share = pool["size_bytes"] - pool["free_bytes"], pool["metadata_used_share"]
        pool["used_percent"] = round(100 * used / max(1, pool["size_bytes"]))
        pool["metadata_percent"] = None if share is None else round(100 * share)
        left_s = pool["full_in_s"]
        pool["full_in_h"] = None if left_s is None else round(left_s / 3600, 1)
        pool["line"] = _line(pool["samples"])
    shown = {"pools": pools, "templates": templates, "words": upload_words()}
    return render(request, "storage.html", shown)


def _line(samples: list[list[float]]) -> str:
    """The points of a chart 100 wide and 40 high; the last day at most."""
    if len(samples) < 2:
        return ""
    first, last = samples[0][0], samples[-1][0]
    wide = max(1.0, last - first)
    return " ".join(
        f"{100 * (at - first) / wide:.1f},{40 - 40 * share:.1f}" for at, share in samples
    )


@rule(Rule.TECHNICIAN)
def people(request: HttpRequest) -> HttpResponse:
    """All users. The page shows the first password of a new user once."""
    shown: dict[str, Any] = {"roles": Role.choices}
    if request.method == "POST":
        username, role = parse_username(request.POST.get("username", "")), request.POST.get("role")
        password = secrets.token_urlsafe(6)
        try:
            if role not in Role.values or username_fault(username):
                raise ValueError(username_fault(username) if username else "")
            with transaction.atomic():
                User.objects.create_user(username, password=password, role=role)
            write_audit(_user(request), "user", target=username, request=request)
            shown |= {"made": username, "password": password}
        except IntegrityError:
            shown["problem"] = _("There is somebody of this name already.")
        except ValueError as error:
            shown["problem"] = str(error) or _("A name and a role are needed.")
    shown["users"] = User.objects.order_by("username")[:1000]
    return render(request, "people.html", shown)


@rule(Rule.STAFF)
def tokens(request: HttpRequest) -> HttpResponse:
    """The tokens of a user: make, show once, delete."""
    user, made = _user(request), ""
    if request.method == "POST" and request.POST.get("act") == "make":
        name, scope = request.POST.get("name", "").strip()[:80], request.POST.get("scope", "")
        if name and scope in Scope.values:
            made = make_token(user, name, [scope], request)[1]
    elif request.method == "POST":
        revoke_token(user, parse_number(request.POST.get("id", "")) or 0, request)
    return render(
        request,
        "tokens.html",
        {"tokens": user.tokens.all(), "scopes": Scope.choices, "made": made},
    )
