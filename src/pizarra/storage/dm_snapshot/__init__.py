"""The backend lvm-thick: classic snapshots with a copy-on-write store each."""
