"""What explains a training at its weights: the gradient, its noise, the curvature of the loss.

It doesn't know how weights were reached, and writes nothing.
"""
