"""Addresses of pages. Each view has its ``@rule`` (permissions.py)."""

from __future__ import annotations

from django.urls import path

from pizarra.server.pages import views

urlpatterns = [
    path("", views.home, name="home"),
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-out/", views.SignOut.as_view(), name="sign-out"),
    path("i18n/setlang/", views.language, name="set_language"),
]
