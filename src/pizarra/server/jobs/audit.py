"""What somebody may read in the audit."""

from __future__ import annotations

from functools import reduce
from operator import or_

from django.db.models import Q, QuerySet

from pizarra.server.jobs.models import AuditEntry
from pizarra.server.people.models import User
from pizarra.server.permissions import rooms_of


def audit_for(user: User) -> QuerySet[AuditEntry]:
    """The entries, newest first: all for a technician. For a teacher those of their classrooms,
    and not of older classrooms that had these names."""
    if user.is_technician:
        return AuditEntry.objects.all()
    own = [Q(classroom=room.name, at__gte=room.created) for room in rooms_of(user)]
    return AuditEntry.objects.filter(reduce(or_, own)) if own else AuditEntry.objects.none()
