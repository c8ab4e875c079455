"""The backend qcow2: overlay files in a folder."""
