"""Scalar arithmetic on whole ticks and lots, written so that it can be compiled: scalars in, scalars out."""
