"""Saved run → the functions that it learned: by its checkpoint, or on the way by training again.

It reads what a run has written, and changes none of it. It knows no picture.
"""
