"""The people of a classroom: its teachers, its students and their seats. The host has the
machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from django.conf import settings
from django.db import models
from django.utils import timezone

from pizarra.model.names import NAME_LENGTH_MAX, seat_name


class Room(models.Model):
    """The people's side of a classroom on a host, by the classroom's name."""

    name = models.CharField(max_length=NAME_LENGTH_MAX, unique=True)  # on all hosts together
    # in the classroom's record on its host; empty for one of before there were such ids
    classroom_id = models.CharField(max_length=36, blank=True)
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
    message_seats = models.JSONField(default=list, blank=True)  # who reads it; empty: everybody
    created = models.DateTimeField(default=timezone.now)
    generation = models.PositiveIntegerField(default=0)  # grows when all consoles must be closed

    class Meta:
        ordering = ("name",)

    def show_message(self, message: str, numbers: Sequence[int] | None) -> None:
        """Show a message to these seats, or to all, beside those that read a message already."""
        if numbers is not None and not message:
            return
        if self.message and message:
            everybody = numbers is None or not self.message_seats
            numbers = None if everybody else [*self.message_seats, *(numbers or ())]
        self._read(message, numbers or ())

    def _read(self, message: str, numbers: Iterable[int]) -> None:
        self.message, self.message_seats = message, sorted(set(numbers))
        self.save(update_fields=["message", "message_seats"])

    def hide_message(
        self, numbers: Sequence[int] | None, everybody: Callable[[], list[int]]
    ) -> None:
        """Hide the message from these seats, or from all. ``everybody`` gives the numbers of all
        seats."""
        reading = set(self.message_seats or everybody()) - set(numbers) if numbers else set()
        self._read(self.message if reading else "", reading)

    def message_to(self, number: int) -> str:
        """The message that a seat reads; empty when there is none."""
        return self.message if not self.message_seats or number in self.message_seats else ""

    @property
    def is_on(self) -> bool:
        """Whether its lesson has an end that is still to come."""
        return self.ends_at is not None and self.ends_at > timezone.now()

    @property
    def display_title(self) -> str:
        """The name on the pages."""
        return self.title or self.name


class SeatAssignment(models.Model):
    """A seat that has or had a student. ``generation`` grows when its consoles must be closed."""

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
