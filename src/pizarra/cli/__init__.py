"""The command line: words, tables and progress. One file a noun; the use cases are in service."""
