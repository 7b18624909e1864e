"""The market data store: partitioned Parquet behind a manifest, committed as a whole or not at all."""
