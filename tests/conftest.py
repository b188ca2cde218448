"""Fixtures that several files use."""

from tests.pretend_cuda import cupy  # noqa: F401
