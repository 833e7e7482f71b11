"""How a gradient moves the weights, and at which pace; each rule is an `Optimizer`.

An optimizer sees weights and gradients, and nothing of networks, losses and data.
"""
