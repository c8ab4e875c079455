"""The backend lvm-thin: thin volumes, rewound by messages to their pool."""
