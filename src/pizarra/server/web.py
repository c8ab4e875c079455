"""The pages' process: an ordinary user that serves HTTP and sockets, and can do nothing else."""

from __future__ import annotations

import warnings

import uvicorn

from pizarra.server.project.secret import tls_files
from pizarra.settings import read_settings


def main() -> None:
    """Serve until a signal ends the process."""
    # WhiteNoise reads its files in one go, and they are small
    warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous")
    settings = read_settings()
    host, _, port = settings.server_listen.rpartition(":")
    tls = tls_files(settings.pages_folder) if settings.server_self_signed else (None, None)
    uvicorn.run(
        "pizarra.server.project.asgi:application",
        host=host.strip("[]"),
        port=int(port),
        log_level="warning",
        lifespan="off",
        proxy_headers=True,
        forwarded_allow_ips="127.0.0.1",
        ssl_certfile=tls[0],
        ssl_keyfile=tls[1],
    )


if __name__ == "__main__":
    main()
