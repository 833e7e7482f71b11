"""The update of a network as a C program: trace, lower, build, cache, execute.

Knows what an update is only by tracing that of `gdrun.training`. It doesn't know runs, files of
runs or the command line. README.md shows how an update becomes a program.
"""
