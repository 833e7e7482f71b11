"""From YAML, `--set` and flags to one checked config, with all mistakes explained.

It must not know how anything is trained or stored.
"""
