"""The events of the engine as JSON."""

from __future__ import annotations

from typing import Any

from pizarra.agent.translations import with_translations
from pizarra.engine.events import Advanced, Began, Event, Noted
from pizarra.model.sentence import Sentence


def event_json(event: Event) -> dict[str, Any]:
    """One event."""
    match event:
        case Began(what=what, total=total, unit=unit):
            return {"event": "began", "what": what, "total": total, "unit": unit}
        case Advanced(what=what, done=done):
            return {"event": "advanced", "what": what, "done": done}
        case Noted(text=text, facts=facts):
            return {"event": "noted", **with_translations({"says": Sentence(text, **facts)})}
    return {"event": "settled", **with_translations(event.outcome.to_json())}
