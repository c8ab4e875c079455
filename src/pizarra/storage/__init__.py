"""Storage backends: one interface, four drivers, one contract suite (tests/contract)."""
