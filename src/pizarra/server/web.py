"""The pages' process: an ordinary user that serves HTTP and sockets, and can do nothing else."""

from __future__ import annotations

import resource
import sys
import warnings

import uvicorn

from pizarra.model.sizes import MIB
from pizarra.server.gate.connection import Connection
from pizarra.server.gate.listening import CONNECTIONS_MAX, listen_at
from pizarra.server.project.secret import tls_files
from pizarra.settings import read_settings

_OTHER_FILES = 500  # the database, the agent, consoles


def main() -> None:
    """Serve until a signal ends the process."""
    # WhiteNoise reads its files in one go, and they are small
    warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous")
    settings = read_settings()
    tls = tls_files(settings.pages_folder) if settings.server_self_signed else (None, None)
    _allow_files(2 * CONNECTIONS_MAX + _OTHER_FILES)  # a console has two
    try:
        listening = listen_at(settings.server_listen, settings.server_proxies)
    except OSError as error:
        sys.exit(f"pizarra: cannot listen at {settings.server_listen}: {error.strerror}")
    config = uvicorn.Config(
        "pizarra.server.project.asgi:application",
        loop="asyncio",
        http=Connection,
        ws_max_size=MIB,  # a message of noVNC with a long clipboard
        ws_max_queue=4,
        ws_per_message_deflate=False,  # a screen is compressed already
        log_level="warning",
        log_config=None,  # uvicorn's words go the way of Django's, with the same limit
        lifespan="off",
        proxy_headers=bool(settings.server_proxies),
        forwarded_allow_ips=settings.server_proxies,
        ssl_certfile=tls[0],
        ssl_keyfile=tls[1],
    )
    uvicorn.Server(config).run(sockets=[listening])


def _allow_files(files: int) -> None:
    """Raise the limit of open files, as far as the system lets us."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(now, min(files, most)), most))


if __name__ == "__main__":
    main()
