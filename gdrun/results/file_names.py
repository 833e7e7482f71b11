"""The names of the files in a run's or a group's directory, for whoever writes or mentions them."""

MANIFEST = "run.json"
CONFIG = "config.yaml"
EPOCHS, STEPS = "epochs.csv", "steps.csv"
SWEEP = "sweep.csv"
CHECKPOINT, PREVIOUS_CHECKPOINT = "checkpoint.pt", "checkpoint.previous.pt"
COMPARED = "compared.json"
