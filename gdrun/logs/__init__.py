"""The rows of `epochs.csv` and `steps.csv`, read back: all, the last, or those that are looked for.

Files may be larger than memory, and anybody's: what is read at once is bounded, and a row that
gdrun didn't write is named by its line. It knows open files, not where they are, and needs neither
PyTorch nor numpy.
"""
