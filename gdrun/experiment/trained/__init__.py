"""What was trained: the networks of a run's lanes, from its files or from memory; predictions.

It knows no command and no picture.
"""
