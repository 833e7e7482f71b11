"""What is minimised, and what is measured beside it; each is a `Loss`.

A loss sees outputs and targets, and nothing of networks, data and optimizers.
"""
