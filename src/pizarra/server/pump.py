"""The pump's process: an ordinary user that carries jobs between the database and the agent."""

from __future__ import annotations

import os
import signal

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pizarra.server.project.settings")


def main() -> None:
    """Carry jobs until a signal ends the process."""
    import django

    django.setup()
    from pizarra.server.hosts import host
    from pizarra.server.jobs.pump import Pump

    pump = Pump(host())
    for signalled in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signalled, lambda *_: pump.stopping.set())
    pump.run()


if __name__ == "__main__":
    main()
