"""Fixtures that several files use."""

from pathlib import Path

import tinyhpe

if (Path(tinyhpe.__file__).parent / "fast").exists():  # one test runs others without that folder
    from tests.pretend_cuda import cupy  # noqa: F401


def pytest_collection_modifyitems(config, items):
    """A campaign takes an hour: it runs only if -m names it. (In addopts, -m would give way to any other -m.)"""
    if "campaign" not in config.option.markexpr:
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("campaign")])
        items[:] = [item for item in items if not item.get_closest_marker("campaign")]
