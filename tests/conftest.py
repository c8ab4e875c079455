"""Fixtures for everybody."""

pytest_plugins = ["tests.fixtures.libvirt", "tests.lab.school"]
