"""How much? Targets become orders of the right size, and fills become positions and cash."""
