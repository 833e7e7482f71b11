"""The commands that look at saved runs, and train nothing."""
