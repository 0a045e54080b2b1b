"""A Parquet file that appears whole or not at all, for its owner only; used by every segment source."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.errors import SegmentError


@contextmanager
def private_file(target: Path) -> Iterator[Path]:
    """Yield an empty file of mode 0600 beside `target`, to be filled and moved there; gone if it was not.

    SegmentError when the folder cannot take it.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent.resolve(), prefix=f".{target.name}.")
        os.close(descriptor)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise SegmentError(
            f"the rows of the segment cannot be kept: {error.strerror}: {error.filename}",
            hint="the folder must be there, be writable, and have room",
        ) from error
