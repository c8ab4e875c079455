"""Fixtures for everybody."""

from hypothesis import settings

pytest_plugins = ["tests.fixtures.libvirt", "tests.lab.school"]

# No test asserts a timing: an example that a busy machine takes long over is not wrong
settings.register_profile("pizarra", deadline=None)
settings.load_profile("pizarra")
