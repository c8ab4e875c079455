"""The classroom on a screen: pages, REST, consoles. An ordinary user runs it, a worker is root."""
