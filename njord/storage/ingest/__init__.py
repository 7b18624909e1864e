"""The doors for recorded trades, books and quotes: files of many formats in, canonical columns out."""
