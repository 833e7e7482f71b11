"""Saved runs → the train loss around the paths of their weights: by a file of these, or again.

It reads what runs have written, but for the file of weights, which a run writes as it is trained.
It knows no picture.
"""
