"""Whose frames are the user's."""

from __future__ import annotations

import os

from portax.core import source


def register_exclusion(path: str) -> None:
    """Count the frames of a file, or of a folder, as a library's: neither errors nor equations point into them.

    Parameters
    ----------
    path : str
        Of the file, such as ``__file__``, or of the folder, with its separator at the end.

    Examples
    --------
    >>> from portax.extend import source_info_util
    >>> source_info_util.register_exclusion("/opt/my_library/")
    """
    path = os.fspath(path)
    if path not in source.internal_folders:
        source.internal_folders.append(path)
        source.forget()
