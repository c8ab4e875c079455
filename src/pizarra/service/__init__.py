"""The use cases: the one door for the CLI, the worker and the web. One file a noun."""
