"""Thin programs: they wire parts together and hold no logic of their own."""
