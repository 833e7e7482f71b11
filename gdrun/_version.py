"""The version of gdrun, where the build reads it, too."""

__version__ = "0.1.0"
