"""A CSV file as text: its encoding, how its rows are written, where they begin.

What the columns hold is the business of `gdrun.tables`.
"""
