"""Results → matplotlib figures, drawn without a screen.

Draws what `gdrun.results` and `gdrun.analysis` hold. It trains nothing, reads no weights
and imports no PyTorch.
"""
