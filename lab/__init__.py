"""A KVM host in a bottle: a stock Debian kernel in QEMU whose root is this machine's root.

The kernels of development and CI machines may have no device-mapper; this one has. `python -m lab`
is the command line; `lab.machine` starts a lab from Python (the power-cut tests do).
"""
