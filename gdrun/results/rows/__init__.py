"""The rows of a run: as they are logged, and as columns in memory."""
