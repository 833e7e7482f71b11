"""What is typed: commands, options, exit codes.

Parses a command line, prepares what it asks for and hands results to `gdrun.terminal`. Imports
no PyTorch at module level: `gdrun --help` must be instant. Nothing below knows that it exists.
"""
