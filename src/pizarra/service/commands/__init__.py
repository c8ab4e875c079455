"""Every command of Pizarra, declared once: name, arguments, handler, effects and who may.

The command line, the REST API, ``--server``, the agent, the audit and the pages read this table.
A new command is one function with ``@command(…)`` in the module of its noun; see ``table.py``.
"""
