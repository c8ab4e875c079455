"""How fast, measured beside what a user would do instead: `make bench` runs this in the lab."""
