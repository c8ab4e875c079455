"""Pizarra: KVM classrooms on LVM, put back to their original state in seconds."""

__version__ = "0.1.0"
