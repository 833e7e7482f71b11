"""What a person reads on a terminal: live view, tables, paragraphs, charts; and the same as JSON.

Shows values of `gdrun.results` and `gdrun.analysis` with Rich. It trains nothing, draws no pictures
and imports no PyTorch.
"""
