"""Linux: processes, device-mapper, locks. Knows no classroom."""
