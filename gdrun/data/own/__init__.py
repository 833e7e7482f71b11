"""The user's own code: a function in a file or a package, found, imported and called.

It is run only where a config names it. What it returns is the business of whoever asks for it.
"""
