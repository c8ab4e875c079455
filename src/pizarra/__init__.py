"""Pizarra: KVM classrooms on LVM, put back to their original state in seconds."""
