"""Users and the tokens of their programs."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """The role of a user."""

    STUDENT = "student", _("student")
    TEACHER = "teacher", _("teacher")
    TECHNICIAN = "technician", _("technician")


class Language(models.TextChoices):
    """The language of pages; empty is the language of the browser."""

    BROWSER = "", _("as the browser asks")
    ENGLISH = "en", "English"
    SPANISH = "es", "español"


class User(AbstractUser):
    """A person. ``groups`` are groups of students, such as 1A."""

    role = models.CharField(max_length=12, choices=Role.choices, default=Role.STUDENT)
    language = models.CharField(
        max_length=2, choices=Language.choices, default=Language.BROWSER, blank=True
    )
    guest = models.BooleanField(default=False)  # came in with a class code, has no password

    @property
    def display_name(self) -> str:
        """Their full name, or what they sign in with."""
        return self.get_full_name() or self.username

    @property
    def is_teacher(self) -> bool:
        """Teachers have classrooms."""
        return self.role == Role.TEACHER

    @property
    def is_technician(self) -> bool:
        """Technicians have hosts, and may all that teachers may."""
        return self.role == Role.TECHNICIAN


class Scope(models.TextChoices):
    """What a token is valid for. A token never allows more than its user may."""

    READ = "read", _("look")
    OPERATE = "operate", _("start, stop, reset, undo, checkpoints, consoles")
    MANAGE = "manage", _("create, change and delete classrooms, people and templates")


TOKEN_PREFIX = "piz_"
TOKEN_DAYS = 90  # that a token is good for, unless its maker says otherwise
TOKEN_DAYS_MAX = 400  # a school year and the summer


class ApiToken(models.Model):
    """The token of a program. The database has only its digest."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=80)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    created = models.DateTimeField(default=timezone.now)
    expires = models.DateTimeField(null=True, blank=True)
    last_used = models.DateTimeField(null=True, blank=True)

    @property
    def display_scopes(self) -> str:
        """The scopes in the reader's language."""
        return "; ".join(str(Scope(one).label) for one in self.scopes)

    def is_good(self, now: datetime) -> bool:
        """Whether it lets its user in."""
        return self.user.is_active and self.expires is not None and now < self.expires

    @staticmethod
    def digest_of(token: str) -> str:
        """The digest of a token. A token has 256 random bits, so the hash need not be slow."""
        return hashlib.sha256(token.encode()).hexdigest()

    @classmethod
    def issue(
        cls, user: User, name: str, scopes: list[str], days: int = TOKEN_DAYS
    ) -> tuple[ApiToken, str]:
        """Make a token that is good for so many days: its record, and the token itself."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        record = cls.objects.create(
            user=user,
            name=name,
            scopes=sorted(set(scopes)),
            digest=cls.digest_of(token),
            expires=timezone.now() + timedelta(days=days),
        )
        return record, token
