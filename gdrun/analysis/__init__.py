"""From the numbers of a sweep to what to train with, and why.

Plain numbers in, conclusions and sentences out. It doesn't know files, terminals or PyTorch.
"""
