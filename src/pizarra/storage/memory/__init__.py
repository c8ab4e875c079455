"""The backend memory: the product's own double, for speed and for failures at any step."""
