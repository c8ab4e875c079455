"""The classroom on a screen: pages, REST, consoles, and the pump of jobs. An ordinary user runs it;
the agent beside it is root."""
