"""The mathematics: models, losses, one update, the loop, evaluation.

Nothing here reads or writes a file of a run, prints, or knows the names `full`, `sgd` and
`minibatch`: to the loop they are batch sizes.
"""
