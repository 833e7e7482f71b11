"""Results → matplotlib figures, drawn without a screen.

Draws what `gdrun.results` and `gdrun.analysis` say. It trains nothing, reads no run's weights and
imports no PyTorch.
"""
