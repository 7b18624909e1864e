"""What is market data worth? Findings with their places, a grade with the rule for each, bound to the data by hash."""
