"""The history host: recorded markets through the engine, and an honest account of how it went."""
