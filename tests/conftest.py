"""Fixtures that several files use."""

from pathlib import Path

import tinyhpe

if (Path(tinyhpe.__file__).parent / "fast").exists():  # one test runs others without that folder
    from tests.pretend_cuda import cupy  # noqa: F401
