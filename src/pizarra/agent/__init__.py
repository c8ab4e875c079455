"""The root side on a host: runs commands of the table and answers questions.

The agent knows no user, no page and no database. ``door.py`` is its end of the protocol with the
server, ``client.py`` the server's end.
"""
