"""Results and fitted functions at the ends of epochs → moving pictures.

It trains nothing: what the functions were on the way, others find out.
"""
