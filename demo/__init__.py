"""The main job, shown: `make demo` runs this inside the lab."""
