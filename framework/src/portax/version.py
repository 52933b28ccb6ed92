"""The version of portax: the one place that says it."""

__version__ = "0.1.0"
__version_info__ = (0, 1, 0)
