"""The first technician, who comes with a code of root's."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from pizarra.server.first_code import is_first_code, use_first_code
from pizarra.server.people.models import Role, User
from pizarra.server.people.usernames import parse_username, username_fault


class WrongCode(ValueError):
    """The code is not the one, or works no more."""


def has_technician() -> bool:
    """Whether somebody can make others already."""
    return User.objects.filter(role=Role.TECHNICIAN).exists()


def make_first_technician(username: str, password: str, again: str, code: str) -> User:
    """Make the technician. Who has no code learns nothing of those who are there; the code is used
    up last, when nothing else is wrong.

    Raises WrongCode, or ValueError with what is wrong in the reader's language.
    """
    name = parse_username(username)
    if fault := username_fault(name):
        raise ValueError(fault)
    if password != again:
        raise ValueError(_("The two passwords differ."))
    user = User(username=name, role=Role.TECHNICIAN)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValueError(" ".join(error.messages)) from None
    wrong = _("This code does not work. A new one: pizarra serve --first-code")
    if not is_first_code(settings.PIZARRA, code):
        raise WrongCode(wrong)
    if User.objects.filter(username=name).exists():
        raise ValueError(_("There is somebody of this name already."))
    if not use_first_code(settings.PIZARRA):
        raise WrongCode(wrong)
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:
        raise ValueError(_("There is somebody of this name already.")) from None
    return user
