"""``python -m pizarra``."""

from pizarra.cli.main import run

run()
