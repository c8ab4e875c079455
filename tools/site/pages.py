"""The addresses of the dashboard, from its table of addresses and the rule of each view."""

from __future__ import annotations

from typing import Any

from tools.site.markdown import code, sentence, table
from tools.site.server import set_up


def dashboard_pages() -> dict[str, str]:
    """One table: the address of each page, and who may see it."""
    rows = [[code(address), sentence(who)] for address, who in addresses().items()]
    return {"dashboard-addresses": table(("Address", "Who may see it"), rows)}


def addresses() -> dict[str, str]:
    """Who may see each page that one can open, by its address: ``/classrooms/NAME/``."""
    set_up()
    from pizarra.server.pages.urls import urlpatterns
    from pizarra.server.permissions import rule_of

    return {
        _shown(str(one.pattern)): rule.value
        for one in urlpatterns
        if (rule := rule_of(one.callback)) and not _is_action(one)
    }


def _is_action(address: Any) -> bool:
    """Whether the address only takes a form, and shows no page of its own."""
    return address.name in ("sign-out", "set_language", "join")


def _shown(route: str) -> str:
    return "/" + route.replace("<str:classroom>", "NAME").replace("<int:number>", "NUMBER")
