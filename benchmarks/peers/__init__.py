"""How fast are other simulators at the same work? One process each, in environments of their own, asked in turn."""
