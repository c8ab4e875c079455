"""The REST API under /api/v1. Programs and the scripts of the pages use it, by the rules of the
pages."""
