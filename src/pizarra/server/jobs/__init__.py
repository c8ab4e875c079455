"""What was asked of hosts, how far it is, and who did what."""
