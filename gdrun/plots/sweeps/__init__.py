"""The numbers of a sweep → pictures of its grid, and of how its costs scale.

It draws what `gdrun.analysis` has found, and finds nothing itself.
"""
