"""What lies on disk: recorded bars that come in, and the journal that a run writes.

Bars enter through `bars_file.open_bars` and leave as a `dataset.BarDataset`: whole ticks and lots, ordered, hashed.
"""
