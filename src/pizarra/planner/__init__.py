"""Pure: (what is seen, what is wished) -> what is to be done. Knows no driver and does no I/O."""
