"""Several processes that train together, as `torchrun` starts them, on one machine or many.

Its module `launch` imports no torch.
"""
