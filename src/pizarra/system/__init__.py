"""Linux: processes, device-mapper, locks, files. These modules know no classroom."""
