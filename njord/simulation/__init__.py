"""The whole system on one virtual clock: strategy, gate, broker and local exchange under one seed, with faults."""
