"""A KVM host in a bottle: a stock Debian kernel in QEMU whose root is this machine's root.

The kernels of development and CI machines may have no device-mapper; Debian's kernel has it.
`python -m lab` is the command line. The power-cut tests start labs with `lab.machine`.
"""
