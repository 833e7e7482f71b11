"""From YAML, `--set` and flags to one checked config, and mistakes in words.

The schema says what can be configured. It doesn't know how anything is trained or stored.
"""
