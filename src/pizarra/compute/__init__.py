"""Virtual machines and their networks: one interface, libvirt and memory."""
