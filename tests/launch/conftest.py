"""A folder for the data of servers that are really started."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Empty, and with parents that everybody may enter: as root, PostgreSQL runs as nobody. pytest's own are closed."""
    folder = Path(tempfile.mkdtemp(prefix="backledger-launch-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
