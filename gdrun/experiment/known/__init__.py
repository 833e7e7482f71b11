"""Known answers: trainings whose result a closed form, a paper or a plain loop says beforehand.

They go the way of any command, from a config to results, so that what is checked is what users run.
"""
