"""Networks for all lanes at once; each is a `Model`.

A model knows nothing of data, losses and optimizers.
"""
