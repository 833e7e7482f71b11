"""What a person reads on a terminal: live view, tables, paragraphs, charts.

Renders values of `gdrun.results` and `gdrun.analysis` with Rich. It trains nothing, draws no
pictures and imports no PyTorch.
"""
