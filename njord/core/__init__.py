"""The vocabulary: every type that more than one folder speaks. It imports nothing else of njord."""
