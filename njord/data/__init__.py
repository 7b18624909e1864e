"""Market data as state: components that turn trades into bars, deltas into books, and streams into findings."""
