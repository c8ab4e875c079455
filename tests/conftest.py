"""Settings and plugins for all tests."""

from hypothesis import settings

pytest_plugins = ["tests.fixtures.libvirt", "tests.lab.school"]

# No test asserts a time: an example that takes long on a busy machine is not wrong
settings.register_profile("pizarra", deadline=None)
settings.load_profile("pizarra")
