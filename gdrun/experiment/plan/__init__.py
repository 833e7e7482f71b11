"""The plan of a command: its runs, and what to know of them before they are trained."""
