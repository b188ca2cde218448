"""Results of several seeds as means, spreads and differences."""

import numpy as np
from scipy.special import stdtrit

NONE = "-"  # in a table, where there is no number


def of_seeds(results, *keys):
    """{seed: the number that lies under the keys of its result}, without seeds that failed or have none."""
    found = {}
    for seed, value in enumerate(results):
        for key in keys:
            value = value.get(key) if value else None
        if value is not None:
            found[seed] = value
    return found


def spread(numbers, digits=2):
    """Mean and standard deviation over the seeds as text: "9.81 ± 0.12"."""
    numbers = list(numbers.values())
    if not numbers:
        return NONE
    deviation = f" ± {np.std(numbers, ddof=1):.{digits}f}" if len(numbers) > 1 else ""
    return f"{np.mean(numbers):.{digits}f}{deviation}"


def difference(first, other):
    """How much larger the numbers of the other are, seed by seed: (mean, low, high), its 95 % interval.

    Seeds are paired, since the same seed has the same initial weights and order of images. The interval is
    Student's t; without two common seeds there is none, and the result is None.
    """
    paired = np.array([other[seed] - first[seed] for seed in sorted(first.keys() & other.keys())])
    if len(paired) < 2:
        return None
    half = stdtrit(len(paired) - 1, 0.975) * paired.std(ddof=1) / np.sqrt(len(paired))
    return paired.mean(), paired.mean() - half, paired.mean() + half


def verdict(name, compared):
    """The difference as a sentence."""
    if compared is None:
        return f"{name}: too few seeds to tell."
    mean, low, high = compared
    told = f"{mean:+.2f} degrees, between {low:+.2f} and {high:+.2f}"
    if low <= 0 <= high:
        return f"{name} is not told apart from it ({told})."
    return f"{name} is {'worse' if mean > 0 else 'better'} ({told})."
