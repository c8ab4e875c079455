"""Consoles: a browser's WebSocket, relayed to a machine's VNC, which has no TCP port."""
