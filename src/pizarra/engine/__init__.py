"""Looks, carries out plans, tells what happens. Never prints."""
