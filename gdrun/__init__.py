"""Gradient descent, compared."""

__version__ = "0.1.0"
