"""REST: /api/v1, the same rules as the pages, for programs and for the pages' own scripts."""
