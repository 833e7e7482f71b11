"""From files and generators to tensors: sources, split, standardisation, the order of rows.

It must not know networks, losses or runs.
"""
