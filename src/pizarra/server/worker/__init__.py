"""The root side of the server: does the work on this host, and answers a fixed set of questions."""
