"""A classroom's people: whose it is, who sits where, what they may. Its machines are the host's."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from pizarra.model.names import NAME_LENGTH_MAX, seat_name


class Room(models.Model):
    """The people's side of a classroom on a host, by the classroom's name."""

    name = models.CharField(max_length=NAME_LENGTH_MAX, unique=True)  # on all hosts together
    host = models.CharField(max_length=64, default="local")
    title = models.CharField(max_length=80, blank=True)
    teachers = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="rooms_taught")
    students = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="rooms_attended")
    class_code = models.CharField(max_length=12, unique=True, null=True, blank=True)
    guests_allowed = models.BooleanField(default=False)  # the code alone is enough
    students_may_reset = models.BooleanField(default=True)
    students_may_restart = models.BooleanField(default=True)
    students_may_checkpoint = models.BooleanField(default=True)
    checkpoint_quota = models.PositiveSmallIntegerField(default=2)  # a student's own, for a seat
    ends_at = models.DateTimeField(null=True, blank=True)  # of the lesson: "time left"
    message = models.CharField(
        max_length=200, blank=True
    )  # "eyes on me": while machines stand still
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("name",)

    @property
    def title_shown(self) -> str:
        """What people call it."""
        return self.title or self.name


class SeatAssignment(models.Model):
    """A seat that is somebody's, or was. ``generation`` grows when consoles must be let go."""

    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="assignments")
    number = models.PositiveSmallIntegerField()
    student = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="assignments",
    )
    since = models.DateTimeField(default=timezone.now)
    generation = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["room", "number"], name="one_student_a_seat"),
            models.UniqueConstraint(fields=["room", "student"], name="one_seat_a_student"),
        )
        ordering = ("number",)

    @property
    def seat(self) -> str:
        """``net-07``."""
        return seat_name(self.room.name, self.number)
