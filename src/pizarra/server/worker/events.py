"""What the engine tells, as JSON for the browser; texts stay templates, so that they can be said in
the reader's language."""

from __future__ import annotations

from typing import Any

from pizarra.engine.events import Advanced, Began, Event, Noted
from pizarra.server.worker.spoken import spoken


def event_json(event: Event) -> dict[str, Any]:
    """One event."""
    match event:
        case Began(what=what, total=total, unit=unit):
            return {"event": "began", "what": what, "total": total, "unit": unit}
        case Advanced(what=what, done=done):
            return {"event": "advanced", "what": what, "done": done}
        case Noted(text=text, facts=facts):
            said = {name: str(fact) for name, fact in facts.items()}
            return {"event": "noted", "text": text, "facts": said, "says": str(event)}
    return {"event": "settled", **spoken(event.outcome.to_json())}
