"""The pages' process: an ordinary user that serves HTTP and sockets, and can do nothing else."""

from __future__ import annotations

import warnings

import uvicorn

from pizarra.settings import settings_read


def main() -> None:
    """Serve until told to end."""
    # WhiteNoise reads its files in one go, and they are small
    warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous")
    host, _, port = settings_read().server_listen.rpartition(":")
    uvicorn.run(
        "pizarra.server.project.asgi:application",
        host=host.strip("[]"),
        port=int(port),
        log_level="warning",
        lifespan="off",
        proxy_headers=True,
        forwarded_allow_ips="127.0.0.1",
    )


if __name__ == "__main__":
    main()
