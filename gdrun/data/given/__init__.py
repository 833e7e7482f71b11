"""Rows that are handed over as arrays or tables: checked, and made a data set.

It must not know where they were handed over, in a file, by a function or in a call.
"""
