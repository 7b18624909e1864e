"""WHAT HOLDS: sweeps, walk-forward, Monte Carlo. Many runs of one idea in, an honest number out."""
