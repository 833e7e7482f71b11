"""What a run says of itself: segments, log rows, histories, results, comparisons.

Plain Python values that every other room shares. It doesn't know PyTorch, files or terminals.
"""
