"""From a config to finished runs on the disk.

Plans the runs of a command, chooses how their updates are executed, trains them in turn or side by
side, and writes checkpoints. It doesn't know the command line, the terminal or pictures.
"""
