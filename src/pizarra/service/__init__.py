"""The use cases: the one door for the CLI and the agent. One file a noun."""
