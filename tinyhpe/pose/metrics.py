"""How far predicted poses are from the true ones."""

import numpy as np

from tinyhpe.errors import InputError
from tinyhpe.pose.angles import as_floats, geodesic

ANGLES = ("yaw", "pitch", "roll")
RANGES = {"0-30": (0, 30), "30-60": (30, 60), "60-99": (60, 99.5)}  # of the true |angle|, degrees


def summary(predicted, truth):
    """All that `tinyhpe evaluate` reports, as a JSON-able dict.

    Args:
        predicted, truth: (N, 3) degrees of yaw, pitch, roll, N >= 1.

    Returns:
        n; mae (mean absolute error of each angle, and their mean); ranges (the error of an angle by the size of
        the true angle, None where there is none); bias (mean of predicted - truth); slope (of the line that fits
        predicted against true angles: below 1 large angles are shrunk; None if all are the same); geodesic (mean
        angle between the two rotations, which gimbal lock does not disturb); mae_yaw60 and mae_beyond_yaw60 (the
        errors where |yaw| is below 60, and from there on).

    Raises:
        InputError: other shapes, or a prediction that is no finite number.
    """
    predicted, truth = (as_floats(poses).astype(np.float64) for poses in (predicted, truth))
    if predicted.shape != truth.shape or truth.shape[1:] != (3,) or not len(truth):
        raise InputError(
            f"predicted poses {predicted.shape} and true ones {truth.shape} are not both (N, 3): give yaw, pitch "
            "and roll of the same images, one or more"
        )
    if not np.isfinite(predicted).all():
        raise InputError(
            "a predicted pose is not a finite number: the model's weights are damaged, train it again"
        )
    errors, sizes = np.abs(predicted - truth), np.abs(truth)
    ranges, counts = {}, {}
    for i, angle in enumerate(ANGLES):
        inside = {name: (low <= sizes[:, i]) & (sizes[:, i] < high) for name, (low, high) in RANGES.items()}
        ranges[angle] = {name: mean_or_none(errors[mask, i]) for name, mask in inside.items()}
        counts[angle] = {name: int(mask.sum()) for name, mask in inside.items()}
    return {
        "n": len(truth),
        "mae": by_angle(errors),
        "ranges": ranges,
        "range_counts": counts,
        "bias": by_angle(predicted - truth),
        "slope": {name: slope(*pair) for name, *pair in zip(ANGLES, truth.T, predicted.T, strict=True)},
        "geodesic": float(geodesic(predicted, truth).mean()),
        "mae_yaw60": by_angle(errors[sizes[:, 0] < 60]),
        "mae_beyond_yaw60": by_angle(errors[sizes[:, 0] >= 60]),
    }


def by_angle(values):
    """The mean of each column of (N, 3), and the mean of those; None without rows."""
    means = [mean_or_none(column) for column in values.T]
    return dict(zip((*ANGLES, "mean"), [*means, mean_or_none(means if len(values) else [])], strict=True))


def mean_or_none(values):
    return float(np.mean(values)) if len(values) else None


def slope(x, y):
    """Of the least-squares line through points (x, y); None if all x are the same."""
    deviation = x - x.mean()
    return float(deviation @ y / (deviation @ deviation)) if np.ptp(x) else None


def table(result):
    """The summary as text for people, ASCII, in degrees."""

    def row(title, values):
        cells = "".join(f"{'-' if v is None else format(v, '.2f'):>9}" for v in values)
        return f"{title:<24}{cells}"

    def row_of(title, key):
        return row(title, result[key].values())

    lines = [f"{result['n']} images; degrees".ljust(24) + "".join(f"{a:>9}" for a in (*ANGLES, "mean"))]
    lines += [row_of("mean absolute error", "mae"), row_of("  where |yaw| < 60", "mae_yaw60")]
    lines += [row_of("  where |yaw| >= 60", "mae_beyond_yaw60")]
    for name in RANGES:
        lines.append(row(f"  where |angle| {name}", [result["ranges"][angle][name] for angle in ANGLES]))
        lines.append(f"{'    images':<24}" + "".join(f"{result['range_counts'][a][name]:>9}" for a in ANGLES))
    lines += [
        row_of("bias", "bias"),
        row_of("slope", "slope"),
        row("geodesic error", [None, None, None, result["geodesic"]]),
    ]
    return "\n".join(lines)
