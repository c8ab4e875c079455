"""Throttles of those who guess passwords and class codes.

A wrong password counts for the address, for the name, and for both together. One address alone
closes no name for the others: the pair of both closes first. A browser in which somebody has
signed in before has a count of its own. So nobody locks out a teacher in the teacher's browser,
not even from the same address (OWASP: "Slow Down Online Guessing Attacks with Device Cookies").

The counts are in the memory of the pages' process, and begin anew with this process.
"""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from pizarra.errors import TooOften
from pizarra.server.addresses import group_of
from pizarra.server.people.models import User

WINDOW_S = 15 * 60
_KNOWN_FOR_S = 365 * 24 * 3600
_KNOWN_USERS = 8  # of a browser of the whole school; a cookie must be short
_COOKIE = "pizarra-known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """Closes after ``most`` wrong guesses of a key; opens a quarter of an hour after the first."""

    of: str
    most: int

    def is_closed(self, key: str) -> bool:
        """Whether the key has no guess left."""
        return int(cache.get(self._name(key), 0)) >= self.most

    def count(self, key: str) -> bool:
        """Count a wrong guess. Whether it was the last one."""
        name = self._name(key)
        try:
            return int(cache.incr(name)) == self.most
        except ValueError:  # the first, or the first after a quarter of an hour
            cache.set(name, 1, WINDOW_S)
            return self.most == 1

    def forget(self, key: str) -> None:
        """Begin anew."""
        cache.delete(self._name(key))

    def _name(self, key: str) -> str:
        text = f"{self.of}: {key}"
        return hashlib.sha256(text.encode(errors="replace")).hexdigest()


PAIR = Throttle(of="password of a name, from an address", most=8)
ADDRESS = Throttle(of="passwords from an address", most=64)
NAME = Throttle(of="password of a name", most=100)
BROWSER = Throttle(of="password of a name, from its browser", most=16)
CODE_USER = Throttle(of="class codes of a user", most=8)
CODE_ADDRESS = Throttle(of="class codes from an address", most=64)
FIRST_CODE = Throttle(of="codes of the first visit from an address", most=8)
Counts = Sequence[tuple[Throttle, str]]


def address_of(request: HttpRequest) -> str:
    """The visitor's address, or its network."""
    return group_of(request.META.get("REMOTE_ADDR") or "")


def password_counts(request: HttpRequest, name: str) -> Counts:
    """What a wrong password for this name counts for."""
    name = unicodedata.normalize("NFKC", name).casefold()
    address = address_of(request)
    general = ((PAIR, f"{address} {name}"), (ADDRESS, address), (NAME, name))
    user = User.objects.filter(username=name).first()
    mark, users = _mark(request)
    own = ((BROWSER, f"{mark} {name}"),)
    return own if user and user.pk in users and not is_closed(own) else general


def code_counts(request: HttpRequest, user: User) -> Counts:
    """What a wrong class code counts for."""
    return (CODE_USER, str(user.pk)), (CODE_ADDRESS, address_of(request))


def first_code_counts(request: HttpRequest) -> Counts:
    """What a wrong code of the first visit counts for."""
    return ((FIRST_CODE, address_of(request)),)


def is_closed(counts: Counts) -> bool:
    """Whether one of the throttles is closed."""
    return any(throttle.is_closed(key) for throttle, key in counts)


def count_wrong(counts: Counts) -> bool:
    """Count a wrong guess. Whether this closed a throttle."""
    return sum(throttle.count(key) for throttle, key in counts) > 0  # each counts


def forget(counts: Counts) -> None:
    """The guess was right. The counts of all names of an address, and of a name, go on."""
    for throttle, key in counts:
        if throttle in (PAIR, BROWSER):
            throttle.forget(key)


def check_code_guesses(request: HttpRequest, user: User) -> None:
    """Raises TooOften."""
    if is_closed(code_counts(request, user)):
        raise TooOften(
            "Too many wrong class codes came from you.",
            "Ask your teacher for the code, and try again in a quarter of an hour.",
        )


def remember_browser(request: HttpRequest, response: HttpResponseBase, user: User) -> None:
    """Give the browser a cookie: this user has signed in with it. It opens nothing by itself."""
    mark, users = _mark(request)
    users = [user.pk, *(one for one in users if one != user.pk)][:_KNOWN_USERS]
    response.set_signed_cookie(
        _COOKIE,
        "/".join((mark, *map(str, users))),
        salt=_COOKIE,
        max_age=_KNOWN_FOR_S,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _mark(request: HttpRequest) -> tuple[str, list[int]]:
    """The mark of a browser, and the users who signed in with it, the last one first."""
    found = request.get_signed_cookie(_COOKIE, "", salt=_COOKIE, max_age=_KNOWN_FOR_S)
    mark, *users = str(found).split("/")
    return mark or secrets.token_urlsafe(12), [int(one) for one in users]
