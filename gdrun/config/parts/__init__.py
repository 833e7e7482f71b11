"""What a config is made of: the sections of its schema, one idea a module.

They must not know the whole config, where it is read from, or how its mistakes are worded.
"""
