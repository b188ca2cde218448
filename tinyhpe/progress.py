"""The progress bar of all long work."""

from tqdm import tqdm


class ProgressBar(tqdm):
    """tqdm's, but without the thread that looks after slow bars: a Python in a browser can start none."""

    monitor_interval = 0
