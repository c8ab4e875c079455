"""What the pages write to the journal. Visitors whom nobody knows cause some of it.

Django writes a traceback for each header that it refuses, and uvicorn a line for each request that
is none. So a visitor could fill the journal.
"""

from __future__ import annotations

import logging
import threading
import time

_PER_MINUTE = 20
_TEXT_MAX = 1000
_OF_VISITORS = "django.security"  # DisallowedHost, SuspiciousOperation, CSRF: no fault of ours


class Bounded(logging.Filter):
    """Lets each logger say a few things a minute, and then how many it did not say."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, tuple[int, int]] = {}  # by logger: the minute, how many in it
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is said; shorter, and without a traceback of what a visitor did wrong."""
        minute = int(time.monotonic() // 60)
        with self._lock:
            then, said = self._said.get(record.name, (minute, 0))
            left_out = max(0, said - _PER_MINUTE) if then != minute else 0
            said = said + 1 if then == minute else 1
            self._said[record.name] = minute, said
        if said > _PER_MINUTE:
            return False
        if record.name.startswith(_OF_VISITORS):
            record.exc_info = record.exc_text = None
        more = f" ({left_out} more like this were left out)" if left_out else ""
        record.msg, record.args = record.getMessage()[:_TEXT_MAX].replace("\n", " ") + more, ()
        return True
