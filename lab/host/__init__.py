"""A full Debian system as a KVM host: systemd, AppArmor and the packaged libvirt, under QEMU.

The other lab borrows this machine's root and boots in seconds. This one has a root of its own, so
that units, packages, users, confinement and reboots are tried as a technician meets them.
`python -m lab.host` is the command line; `lab.host.machine` starts a host from Python.
"""
