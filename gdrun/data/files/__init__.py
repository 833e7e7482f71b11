"""Files of arrays and of typed columns, from their bytes to rows.

They hold numbers as numbers; files of text are the business of `gdrun.tables`.
"""
