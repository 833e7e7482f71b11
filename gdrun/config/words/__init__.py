"""The words that people write in a config, and what they mean by them.

They must not know what is a mistake, or where it was written.
"""
