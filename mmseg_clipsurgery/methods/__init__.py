"""Tensor maths of newer methods, one idea a file: pure functions, which the tables of the method name."""
