"""Run directories: made, locked, written, found, read, listed and filtered.

It must not know how a run is trained, and works without PyTorch: listing a thousand runs must not
load it. Checkpoints, which need it, are in `gdrun.experiment`.
"""
