"""Rows in, tensors out: sources, split, standardisation, the order of visits.

It doesn't know networks, losses or runs.
"""
