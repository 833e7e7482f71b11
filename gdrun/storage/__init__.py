"""Run directories: made, locked, written, found, read, listed and filtered.

Plain files, without PyTorch: listing a thousand runs must not load it. Checkpoints, which need it,
are in `gdrun.experiment`.
"""
