"""The first pages: the way in and out, and where each role begins."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.i18n import set_language

from pizarra.server.permissions import Rule, rule


class SignIn(LoginView):
    """Name and password."""

    rule = Rule.ANYBODY
    template_name = "sign_in.html"
    redirect_authenticated_user = True


class SignOut(LogoutView):
    """By POST only."""

    rule = Rule.ANYBODY


@rule(Rule.ANYBODY)
def language(request: HttpRequest) -> HttpResponseBase:
    """The switch, for whoever has not signed in yet."""
    return set_language(request)


@rule(Rule.SIGNED_IN)
def home(request: HttpRequest) -> HttpResponse:
    """Where a role begins."""
    return render(request, "home.html")
