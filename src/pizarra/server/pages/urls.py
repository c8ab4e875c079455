"""Addresses of pages. Each view has its ``@rule`` (permissions.py)."""

from __future__ import annotations

from django.urls import path

from pizarra.server.pages import views

urlpatterns = [
    path("", views.home, name="home"),
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("first/", views.first_visit, name="first-visit"),
    path("sign-out/", views.SignOut.as_view(), name="sign-out"),
    path("i18n/setlang/", views.language, name="set_language"),
    path("join/", views.join, name="join"),
    path("classrooms/new/", views.classroom_new, name="classroom-new"),
    path("classrooms/<str:classroom>/", views.wall, name="wall"),
    path("classrooms/<str:classroom>/people/", views.room, name="room"),
    path("classrooms/<str:classroom>/<int:number>/", views.console, name="console"),
    path("activity/", views.activity, name="activity"),
    path("storage/", views.storage, name="storage"),
    path("people/", views.people, name="people"),
    path("tokens/", views.tokens, name="tokens"),
]
