"""Jobs, their events as the agent tells them, and the audit of everything that changes."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class State(models.TextChoices):
    """The state of a job."""

    QUEUED = "queued", _("waiting")
    RUNNING = "running", _("under way")
    ENDED = "ended", _("ended")  # with a document; seats may have failed in it
    FAILED = "failed", _("failed")  # with an error and no document
    CANCELLED = "cancelled", _("cancelled")


OPEN = (State.QUEUED, State.RUNNING)


class Job(models.Model):
    """One command for one host. The agent knows the truth; this row is a copy of it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.CharField(max_length=64)
    use_case = models.CharField(max_length=40)
    arguments = models.JSONField(default=dict)
    classroom = models.CharField(max_length=24, blank=True)  # when it is about one
    classroom_id = models.CharField(max_length=36, blank=True)  # the one that is meant; or any
    numbers = models.JSONField(null=True, blank=True)  # seats of it; null is all
    wish = models.CharField(max_length=64, blank=True)  # digest of host, command and arguments
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    first_seq = models.PositiveBigIntegerField(default=0)  # events before the present attempt
    result = models.JSONField(null=True, blank=True)  # the document of the contract
    error = models.JSONField(null=True, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="jobs"
    )
    created = models.DateTimeField(default=timezone.now)
    started = models.DateTimeField(null=True, blank=True)
    ended = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created",)
        indexes = (models.Index(fields=["classroom", "-created"], name="jobs_of_a_room"),)
        constraints = (
            models.UniqueConstraint(
                fields=["user", "wish"],
                condition=models.Q(state__in=OPEN) & ~models.Q(wish=""),
                name="one_open_job_a_wish",
            ),
        )


class JobKey(models.Model):
    """An idempotency key that a user sent, and the job that it stands for."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="job_keys"
    )
    key = models.CharField(max_length=80)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="keys")
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["user", "key"], name="one_job_a_key"),)


class JobEvent(models.Model):
    """One event of a job. ``seq`` counts from one over all attempts."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveBigIntegerField()
    at = models.DateTimeField(default=timezone.now)
    event = models.JSONField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["job", "seq"], name="one_event_a_seq"),)
        ordering = ("seq",)


class AuditEntry(models.Model):
    """Who did what, when, with what outcome. People never change or delete an entry."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    who = models.CharField(max_length=150)  # their name then
    address = models.GenericIPAddressField(null=True, blank=True)
    action = models.CharField(max_length=40, db_index=True)
    target = models.CharField(max_length=80, blank=True)  # a classroom, a seat, a user
    classroom = models.CharField(max_length=24, blank=True, db_index=True)
    facts = models.JSONField(default=dict)
    outcome = models.CharField(max_length=20, blank=True)  # asked, done, refused, failed
    job = models.ForeignKey(Job, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ("-at", "-id")
