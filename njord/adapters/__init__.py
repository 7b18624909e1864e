"""Edges to the machine: files, environment, clock, log, and the doctor who looks at all of them."""
