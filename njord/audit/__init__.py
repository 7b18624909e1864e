"""WAS IT SO: what was recorded, asked again. Parity of a session and a backtest, the story behind an order."""
