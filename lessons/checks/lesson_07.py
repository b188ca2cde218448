"""The judges of lesson 7: rotation matrices and back, the angle between two heads, a mirror, the nearest rotation.

The oracle is tinyhpe/pose/angles.py, or a formula that does not occur in the answers.
"""

from itertools import permutations

import numpy as np

from checks.judging import Wrong, call, case, compare, refuse_borrowed, same
from tinyhpe.pose.angles import euler_to_matrix, matrix_to_euler

ANGLES = ("yaw", "pitch", "roll")
DTYPES = (np.float64, np.float32)


def turns(pitch, yaw, roll):
    """The three matrices of angles in radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos([pitch, yaw, roll]), np.sin([pitch, yaw, roll])
    return {
        "Rx": np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]]),
        "Ry": np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]]),
        "Rz": np.array([[cz, sz, 0], [-sz, cz, 0], [0, 0, 1]]),
    }


def plain(got, shape, dtype=np.float64):
    """An answer as float64, if it is an array of numbers of this shape (of whatever dtype); else as it is."""
    fits = isinstance(got, (np.ndarray, np.generic)) and got.shape == shape and got.dtype.kind == "f"
    return got.astype(dtype) if fits else got


def rotation_matrix(answer):
    refuse_borrowed(answer, "euler_to_matrix")
    for dtype, tolerance in zip(DTYPES, (1e-9, 1e-5), strict=True):
        for numbers in ([31, 23, -17], [31, 0, 0], [0, 23, 0], [0, 0, -17], [-62, 41, 12]):
            pose = np.array(numbers, dtype)
            got = plain(call(answer, pose), (3, 3))
            exact = euler_to_matrix(pose.astype(float))
            mistakes = [*matrix_mistakes(pose.astype(float)), *foreign(got, exact)]
            compare(f"For yaw, pitch, roll = {numbers}:", got, exact, mistakes, tolerance)
    return "Read from the right: roll first, then yaw, then pitch."


def foreign(got, exact):
    """What can be said of any wrong matrix: is it a rotation, and of which pose?"""
    if (
        not isinstance(got, np.ndarray)
        or got.shape != (3, 3)
        or not np.isfinite(got).all()
        or same(got, exact, 1e-4)
    ):
        return
    if np.abs(got.T @ got - np.eye(3)).max() > 1e-3:
        why = "its columns are not three axes of length 1 at right angles"
        yield got, "the result is no rotation", why, "a product of three turns is one: only @, nothing else"
    else:
        yaw, pitch, roll = matrix_to_euler(got)
        what = f"this is the matrix of yaw {yaw:.0f}, pitch {pitch:.0f}, roll {roll:.0f}"
        yield got, what, "it is a rotation, but of another pose", "which angle goes to which axis, and in degrees?"


def matrix_mistakes(pose):
    """What typical mistakes make of a pose."""
    yaw, pitch, roll = np.deg2rad(pose)
    right = turns(pitch, yaw, roll)
    found = []
    for unit, angles in (("degrees", pose), ("rad2deg of degrees", np.rad2deg(pose))):
        wrong = turns(angles[1], angles[0], angles[2])
        why = "cosine and sine take radians, and a pose is given in degrees"
        for names in permutations(wrong):
            product = np.linalg.multi_dot([wrong[name] for name in names])
            found.append((product, f"the angles went into the cosine as {unit}", why, "np.deg2rad"))
    for names in permutations(right):
        if names != ("Rx", "Ry", "Rz"):
            product = np.linalg.multi_dot([right[name] for name in names])
            found.append(
                (
                    product,
                    f"this is the product {' @ '.join(names)}",
                    "another order of the turns, so another convention and another head",
                    "roll comes first, so Rz stands next to the point, at the right; pitch comes last",
                )
            )
    for order, what in (((2, 1, 0), "z, y, x"), ((1, 0, 2), "pitch, yaw, roll"), ((2, 0, 1), "another order")):
        other = turns(*np.deg2rad(pose[list(order)]))
        if what == "pitch, yaw, roll":
            other = turns(yaw, pitch, roll)
        for names in (("Rx", "Ry", "Rz"), ("Rz", "Ry", "Rx")):
            product = np.linalg.multi_dot([other[name] for name in names])
            why = "a pose lists yaw, pitch, roll; yaw turns about y (axis 1), pitch about x (axis 0)"
            found.append((product, f"an angle went to another axis ({what})", why, "name the three angles first"))
    product = right["Rx"] @ right["Ry"] @ right["Rz"]
    why = "`*` multiplies entry by entry, and turns one after another are a matrix product"
    found.append(
        (right["Rx"] * right["Ry"] * right["Rz"], "the matrices were multiplied entry by entry", why, "@")
    )
    found.append(
        (
            right["Rx"] + right["Ry"] + right["Rz"],
            "the three matrices were added",
            "one turn after the other is a product of matrices",
            "@",
        )
    )
    back = turns(-pitch, -yaw, -roll)
    for matrix, what in (
        (product.T, "this is the transposed matrix"),
        (back["Rx"] @ back["Ry"] @ back["Rz"], "all three angles have the wrong sign"),
    ):
        found.append(
            (matrix, what, "it turns the other way round", "use turn_about as it is, and transpose nothing")
        )
    shrunk = turns(pitch / np.pi, yaw / np.pi, roll / np.pi)
    found.append(
        (
            shrunk["Rx"] @ shrunk["Ry"] @ shrunk["Rz"],
            "the angles were divided by 180",
            "180 degrees are pi radians",
            "np.deg2rad",
        )
    )
    for flips in np.array(list(np.ndindex(2, 2, 2))[1:]) * -2 + 1:
        names = " and ".join(a for a, f in zip(ANGLES, flips, strict=True) if f < 0)
        other = turns(pitch * flips[1], yaw * flips[0], roll * flips[2])
        product = other["Rx"] @ other["Ry"] @ other["Rz"]
        found.append(
            (product, f"{names} with the wrong sign", "it turns the other way round", "no minus is needed")
        )
    for order in permutations((pitch, yaw, roll)):
        other = turns(*order)
        for names in permutations(other):
            product = np.linalg.multi_dot([other[name] for name in names])
            why = "a pose lists yaw, pitch, roll; yaw turns about y (axis 1), pitch about x (axis 0)"
            found.append((product, "an angle went to another axis", why, "name the three angles first"))
    for left_out in right:
        two = [right[name] for name in ("Rx", "Ry", "Rz") if name != left_out]
        found.append((two[0] @ two[1], f"{left_out} is missing", "one of the three turns was left out", "three @"))
    return found


def angles_of(answer):
    refuse_borrowed(answer, "matrix_to_euler")
    for dtype, tolerance in zip(DTYPES, (1e-7, 2e-5), strict=True):
        for numbers in ([-31, 23, -17], [40, 130, 25], [-20, -150, 100], [5, 12, -140]):
            matrix = euler_to_matrix(np.array(numbers, float)).astype(dtype)
            got = call(answer, matrix)
            if isinstance(got, (tuple, list)) and len(got) == 3:
                raise Wrong(
                    f"it returns a {type(got).__name__}", "an array (3,) is asked for", "np.array([...]) round it"
                )
            mistakes = angle_mistakes(matrix.astype(float))
            exact = np.array(numbers, float)
            given = f"For the matrix of yaw, pitch, roll = {numbers}:"
            if isinstance(got, np.ndarray) and got.shape == (3,) and got.dtype.kind == "f":
                case.expected = exact
                mistakes += [*entry_mistakes(matrix.astype(float), got, exact)]
            compare(given, plain(got, (3,)), exact, mistakes, tolerance, rough=max(tolerance, 1e-6))
    for dtype, entry in ((np.float32, 1.0000001), (np.float64, -1 - 1e-12)):
        profile = np.array([[0, 0, -1], [-0.6, 0.8, 0], [0.8, 0.6, 0]], dtype)
        profile[0, 2] = entry
        yaw = np.asarray(call(answer, profile), float)
        case.expected = np.array([-90 * np.sign(entry), np.nan, np.nan])
        if not np.isfinite(yaw).all():
            raise Wrong(
                f"where matrix[0, 2] is {profile[0, 2]!s}, the result is {yaw}",
                "rounding can push an entry beyond 1, and no angle has such a sine",
                "np.clip(..., -1, 1) before the arc sine",
            )
        if abs(abs(yaw[0]) - 90) > 1e-3:
            raise Wrong(
                f"where matrix[0, 2] is {profile[0, 2]!s}, yaw is {yaw[0]:.4g}; it should be 90 or -90",
                "an entry that rounding pushed beyond 1 stands for 1, so clip it and change nothing else",
                "np.clip(..., -1, 1)",
            )
    return "In all four quadrants, and never NaN."


def angle_mistakes(matrix):
    """What typical mistakes read from a rotation matrix."""
    with np.errstate(all="ignore"):
        return list(_angle_mistakes(matrix))


def entry_mistakes(matrix, got, exact):
    """Find out from which entries a wrong angle was read."""
    wrong = [i for i in range(3) if not abs(got[i] - exact[i]) < 1e-3]
    places, turned = list(np.ndindex(3, 3)), np.rad2deg(1.0)
    for i in wrong:
        name = ANGLES[i]
        if abs(turned * got[i] - exact[i]) < 1e-3:
            yield got, f"{name} is in radians", "degrees are asked for, of all three", "np.rad2deg at the end"
        if abs(got[i] - turned * np.sin(np.deg2rad(exact[i]))) < 1e-3 or (
            i == 0 and abs(got[i] - turned * np.sin(np.sin(np.deg2rad(exact[i])))) < 1e-3
        ):
            yield got, f"{name} is a sine", "the arc sine undoes the sine", "np.arcsin"
        if abs((got[i] - exact[i]) % 360) < 1e-3:
            yield got, f"{name} is 360 degrees off", "yaw within -90..90, pitch and roll within -180..180", "no %"
        if abs(got[i] + exact[i] - 180 * np.sign(exact[i])) < 1e-3 or abs(abs(got[i] - exact[i]) - 180) < 1e-3:
            why = "a quotient or an arc sine alone does not say in which quadrant an angle lies"
            yield got, f"{name} is in the wrong quadrant", why, "np.arctan2(y, x)"
        if abs(got[i] + exact[i]) < 1e-3:
            yield (
                got,
                f"{name} has the wrong sign",
                "an arc cosine knows no sign; or a minus is lost",
                "np.arctan2",
            )
        for y in places:
            for sign in (1, -1):
                if abs(abs(got[i]) - turned * np.arccos(np.clip(sign * matrix[y], -1, 1))) < 1e-3:
                    why = "an arc cosine knows no sign, and that entry holds more than this one angle"
                    yield got, f"{name} is the arc cosine of the entry {list(y)}", why, "np.arctan2 of two entries"
                if abs(got[i] - turned * np.arcsin(np.clip(sign * matrix[y], -1, 1))) < 1e-3:
                    why = "that entry holds more than this one angle"
                    yield (
                        got,
                        f"{name} is the arc sine of the entry {list(y)}",
                        why,
                        "look at the nine entries again",
                    )
                for x in places:
                    if x != y and abs(got[i] - turned * np.arctan2(sign * matrix[y], matrix[x])) < 1e-3:
                        why = "their quotient is not the tangent of this angle: the third angle does not cancel"
                        what = f"{name} was read from the entries {list(y)} and {list(x)}"
                        yield got, what, why, "look at the nine entries: which two share their other factor?"
        if got[i] == 0 or np.isnan(got[i]):
            yield got, f"{name} is {got[i]}", "an entry below 0 was clipped away; sines go from -1 to 1", "-1, 1"


def _angle_mistakes(matrix):
    sine = np.clip(-matrix[0, 2], -1, 1)
    yaw, pitch, roll = np.deg2rad(matrix_to_euler(matrix))
    exact = np.array([yaw, pitch, roll])
    folded = np.array([yaw, np.arctan(matrix[1, 2] / matrix[2, 2]), np.arctan(matrix[0, 1] / matrix[0, 0])])
    in_degrees, quadrant = "np.rad2deg", "a quotient does not say in which quadrant the two numbers lie"
    yield exact, "the angles are in radians", "degrees are asked for", in_degrees
    yield np.deg2rad(exact), "np.deg2rad was used", "the arc functions give radians already", in_degrees
    for scale, unit in ((np.rad2deg(1.0), ""), (1.0, ", in radians")):
        for pair in ((1, 2), (1,), (2,)):
            partly = exact.copy()
            partly[list(pair)] = folded[list(pair)]
            yield scale * partly, f"an angle is off by 180 degrees{unit}", quadrant, "np.arctan2(y, x)"
        other = np.arctan2([matrix[2, 2], matrix[0, 0]], [matrix[1, 2], matrix[0, 1]])
        for pair in ((1, 2), (1,), (2,)):
            partly = exact.copy()
            for place in pair:
                partly[place] = other[place - 1]
            why = "the first argument of arctan2 is the sine's part (y), the second the cosine's (x)"
            yield scale * partly, f"the arguments of arctan2 are exchanged{unit}", why, "np.arctan2(y, x)"
        for flips in ((-1, 1, 1), (1, -1, 1), (1, 1, -1), (1, -1, -1), (-1, -1, -1), (-1, -1, 1), (-1, 1, -1)):
            names = " and ".join(a for a, f in zip(ANGLES, flips, strict=True) if f < 0)
            why = "a minus sign of an entry was lost, or is one too many: matrix[0, 2] is -sin(yaw), others are +"
            yield (
                scale * exact * flips,
                f"{names} with the wrong sign{unit}",
                why,
                "look at the signs of the entries",
            )
        for order in permutations(range(3)):
            if order != (0, 1, 2):
                names = ", ".join(ANGLES[i] for i in order)
                why = "the right angles stand in another order"
                yield scale * exact[list(order)], f"this is {names}{unit}", why, "yaw, pitch, roll"
        turned = np.deg2rad(matrix_to_euler(matrix.T))
        why = "rows and columns are exchanged: matrix[row, column]"
        yield scale * turned, f"these are the angles of the transposed matrix{unit}", why, "count rows first"
        bent = np.array([np.arccos(sine), pitch, roll])
        yield scale * bent, f"yaw is an arc cosine{unit}", "matrix[0, 2] is -sin(yaw), not a cosine", "np.arcsin"
        small = np.array([np.sin(yaw), pitch, roll])
        yield scale * small, f"yaw is its own sine{unit}", "the arc sine is missing", "np.arcsin"
        divided = np.array([yaw, np.arcsin(np.clip(matrix[1, 2], -1, 1)), np.arcsin(np.clip(matrix[0, 1], -1, 1))])
        why = (
            "matrix[1, 2] is sin(pitch) cos(yaw), and matrix[0, 1] is sin(roll) cos(yaw): cos(yaw) is still in it"
        )
        yield (
            scale * divided,
            f"pitch and roll are arc sines of one entry{unit}",
            why,
            "divide cos(yaw) out: arctan2",
        )


def angle_between(answer):
    refuse_borrowed(answer, "geodesic")
    rng = np.random.default_rng()
    axis = rng.normal(size=3)
    small_to_large = [(40.0, 1e-5), (110.0, 1e-5), (170.0, 1e-5)]
    tiny = [(1e-3, 1e-6), (1e-6, 1e-9), (0.0, 1e-9), (180 - 1e-6, 1e-9)]
    for degrees, tolerance in [*small_to_large, *tiny]:
        for dtype in DTYPES if degrees > 1 and degrees < 171 else DTYPES[:1]:
            first = euler_to_matrix(np.array([50.0, 20, -30]) if degrees < 100 else rng.uniform(-60, 60, 3))
            if degrees == 0:
                first = np.eye(3)
            turn = about(axis, np.deg2rad(degrees))
            second = first @ turn
            first, second = first.astype(dtype), second.astype(dtype)
            got = call(answer, first, second)
            size = np.asarray(got).shape
            given = f"For two heads {degrees:.9g} degrees apart ({dtype.__name__}):"
            if size == () and not np.isfinite(got):
                case.expected = np.array(degrees)
                raise Wrong(
                    f"{given} the result is {got}",
                    "rounding pushes the cosine beyond 1, and no angle has such a cosine",
                    "arctan2 of sine and cosine needs no clipping",
                )
            if size == () and abs(got - degrees) > 1e3 * tolerance and degrees in (40, 110, 170):
                compare(given, got, np.array(degrees), between_mistakes(first, second, degrees), rough=1e-4)
            if size == () and abs(got - degrees) > tolerance and degrees not in (40, 110, 170):
                case.expected = np.array(degrees)
                raise Wrong(
                    f"{given} the result is {got:.10g}",
                    "the cosine is flat at 0 and at 180 degrees: all angles nearby have the same cosine",
                    "the sine, from D - D.T, is steep there; np.arctan2(sine, cosine)",
                )
            compare(
                given,
                plain(got, ()),
                np.array(degrees),
                between_mistakes(first, second, degrees),
                1e-4,
                rough=1e-4,
            )
    return "All digits, from a millionth of a degree to 180."


def about(axis, radians):
    """Rodrigues' formula: the matrix of a turn about an axis."""
    x, y, z = axis / np.linalg.norm(axis)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(radians) * skew + (1 - np.cos(radians)) * skew @ skew


def between_mistakes(a, b, degrees):
    """What typical mistakes make of two rotation matrices."""
    with np.errstate(all="ignore"):
        return list(_between_mistakes(a.astype(float), b.astype(float), degrees))


def _between_mistakes(a, b, degrees):
    between, product, by_entry = a.T @ b, a @ b, a.T * b
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    sizes = np.linalg.norm(between - between.T)
    yield np.deg2rad(degrees), "the angle is in radians", "degrees are asked for", "np.rad2deg"
    for scale, unit in ((np.rad2deg(1.0), ""), (1.0, ", in radians")):
        for d, what, why in (
            (product, "A @ B, without transposing", "that turn is one after the other, not from one to the other"),
            (by_entry, "A.T * B, entry by entry", "a turn is undone by a matrix product with the transposed"),
            (a * b, "A * B, entry by entry", "a turn is undone by a matrix product with the transposed"),
            (b - a, "B - A", "turns are undone by the transposed matrix, not by subtraction"),
        ):
            s, c = np.linalg.norm(d - d.T) / np.sqrt(8), (np.trace(d) - 1) / 2
            yield scale * np.arctan2(s, c), f"D is {what}{unit}", why, "D = a.T @ b"
            yield scale * np.arccos(np.clip(c, -1, 1)), f"D is {what}{unit}", why, "D = a.T @ b"
        trace = np.trace(between)
        for c in (trace / 2, trace, (trace - 1), trace / 3, (trace + 1) / 2):
            for off in (np.arctan2(sine, c), np.arccos(np.clip(c, -1, 1))):
                why = "trace D is 1 + 2 cos(angle), solved for the cosine in another way"
                yield scale * off, f"the cosine is off{unit}", why, "subtract 1 first, then divide by 2"
        for s in (
            sizes,
            sizes / 2,
            sizes / 8,
            sizes**2 / 8,
            sizes / np.sqrt(2),
            np.sqrt(sizes / 8),
            sizes * np.sqrt(8),
        ):
            why = "|D - D.T| is 2 sqrt(2) sin(angle), solved for the sine in another way"
            yield scale * np.arctan2(s, cosine), f"the sine is off{unit}", why, "divide by np.sqrt(8)"
        s = (between - between.T).sum() / np.sqrt(8)
        yield (
            scale * np.arctan2(s, cosine),
            f"the sine is off{unit}",
            "the entries were added, not squared",
            "norm",
        )
        s = np.linalg.norm(between - between.T, 2) / np.sqrt(8)
        why = "np.linalg.norm(x, 2) is the largest singular value"
        yield scale * np.arctan2(s, cosine), f"the sine is off{unit}", why, "no second argument"
        yield (
            scale * np.arctan2(cosine, sine),
            f"90 degrees minus the angle{unit}",
            "arctan2 takes y, x",
            "sine first",
        )
        yield (
            scale * np.arctan(sine / cosine),
            f"an angle off by 180{unit}",
            "arctan knows no quadrants",
            "arctan2",
        )
        yield scale * np.arcsin(sine), f"the arc sine alone{unit}", "it never exceeds 90 degrees", "use both"
        why = "this is how far the entries are apart, not how far one must turn"
        yield scale * np.linalg.norm(a - b), f"the norm of a - b{unit}", why, "D = a.T @ b first"
    off = np.rad2deg(np.arccos(np.clip(a[:, 2] @ b[:, 2], -1, 1)))
    yield off, "the angle between the two lines of sight", "it does not see a head that only tilts", "D, all of it"
    trace, sum_of = np.trace(between), np.abs(between - between.T).sum()
    for number in (sine, cosine, sizes, sizes / 2, sizes / np.sqrt(2), np.rad2deg(sine), trace, (trace - 1) / 2):
        yield number, "a sine or a cosine, not an angle", "arctan2 makes an angle of the two", "np.arctan2"
    both = (np.trace(a) + np.trace(b) - 2) / 4, np.trace(a) - np.trace(b), (np.trace(a) * np.trace(b) - 1) / 2
    for number in both:
        why = "traces of A and B alone do not tell how far A is from B"
        yield np.rad2deg(np.arccos(np.clip(number, -1, 1))), "made of two traces", why, "D = a.T @ b"
    alone = [np.rad2deg(np.arccos(np.clip((np.trace(m) - 1) / 2, -1, 1))) for m in (a, b)]
    for number in (*alone, abs(alone[0] - alone[1])):
        yield number, "made of the turns of A and B from straight ahead", "turns do not subtract", "D = a.T @ b"
    for scale in (np.rad2deg(1.0), 1.0, np.deg2rad(1.0)):
        for d in (between, product, by_entry, a * b, b - a, a - b, between - a, between - b, a + b):
            for whole in (d - d.T, d + d.T, d):
                size = np.linalg.norm(whole)
                for s in (size, size / np.sqrt(8), size / 2, size / 2 * np.sqrt(2), size / 8, size**2 / 8):
                    for c in (cosine, (np.trace(d) - 1) / 2, np.trace(d) - 1, np.trace(d) / 2, trace - 0.5, trace):
                        why = "D, D - D.T, or one of the two formulas is another one than in the text"
                        yield (
                            scale * np.arctan2(s, c),
                            "sine or cosine is off",
                            why,
                            "print sine**2 + cosine**2: 1?",
                        )
        for s in (sum_of, sum_of / np.sqrt(8), sum_of / 2):
            yield scale * np.arctan2(s, cosine), "the sine is off", "the entries were added, not squared", "norm"
    euler = np.abs(matrix_to_euler(a) - matrix_to_euler(b))
    why = "errors of angles are not errors of heads: that is the point of this section"
    for number in (np.sqrt((euler**2).sum()), euler.sum(), euler.max(), np.sqrt((euler**2).mean())):
        yield number, "a distance of yaw, pitch and roll", why, "D = a.T @ b first"
    yield euler.mean(), "the mean difference of yaw, pitch and roll", why, "D = a.T @ b first"


def mirror_pose(answer):
    for dtype in DTYPES:
        poses = np.array([[31, 17, -8], [-62, 5, 23]], dtype)
        mistakes = []
        for flips in np.array(list(np.ndindex(2, 2, 2))) * -2 + 1:
            names = " and ".join(a for a, f in zip(ANGLES, flips, strict=True) if f < 0) or "nothing"
            if (flips != (-1, 1, -1)).any():
                why = (
                    "in a mirror left and right change places, up and down do not: so does a nose, so does a tilt"
                )
                mistakes.append((poses * flips, f"{names} changed sign", why, "three angles, think of each alone"))
        for what, wrong in (
            ("180 - yaw", np.stack([180 - poses[:, 0], poses[:, 1], -poses[:, 2]], axis=1)),
            ("180 + yaw", np.stack([180 + poses[:, 0], poses[:, 1], -poses[:, 2]], axis=1)),
            ("180 - yaw", np.stack([180 - poses[:, 0], poses[:, 1], poses[:, 2]], axis=1)),
            ("roll + 180", np.stack([-poses[:, 0], poses[:, 1], 180 - poses[:, 2]], axis=1)),
        ):
            why = "that head would look away from the camera, or stand on its head"
            mistakes.append((wrong, f"the result has {what}", why, "a nose 31 degrees left is in the mirror ..."))
        for order in permutations(range(3)):
            wrong = (poses * np.array([-1, 1, -1]))[:, list(order)]
            if order != (0, 1, 2):
                why = "the columns are in another order: yaw, pitch, roll"
                mistakes.append((wrong, "the columns changed places", why, "keep the order"))
        why = "a mirror exchanges left and right, it does not forget them"
        added = poses + np.array([-1, 0, -1], dtype)
        mistakes.append((added, "-1 was added", "a sign changes by multiplication", "*"))
        mistakes.append((np.abs(poses), "all signs are lost", why, "a minus, not an absolute value"))
        mistakes.append((poses[::-1], "the heads are in reverse order", "[::-1] is for pixels", "change signs"))
        mistakes.append(
            (poses[:, ::-1], "the angles are in reverse order", "[::-1] is for pixels", "change signs")
        )
        wrong = poses.copy()
        wrong[0] *= -1
        wrong[2:] *= -1
        mistakes.append(
            (wrong, "rows changed, not columns", "poses[0] is the first head; yaw is poses[:, 0]", "poses[:, ...]")
        )
        compare("For two poses:", call(answer, poses), poses * np.array([-1, 1, -1], dtype), mistakes)
    return "Yaw and roll. tinyhpe/datasets/preprocess.py does it beside the pixels, so that nobody forgets."


def nearest_rotation(answer):
    rng = np.random.default_rng()
    rotation = euler_to_matrix(np.array([31.0, 23, -17]))
    first, last = (euler_to_matrix(rng.uniform(-60, 60, 3)) for _ in range(2))
    reflected = first @ np.diag([1.4, 0.9, -0.3]) @ last
    noisy = rotation + rng.normal(0, 0.15, (3, 3))
    cases = [
        ("a rotation", rotation),
        ("a rotation times 1.3", 1.3 * rotation),
        ("a rotation with noise", noisy),
        ("a matrix whose determinant is below 0", reflected),
    ]
    for title, matrix in cases:
        for dtype in DTYPES:
            given = matrix.astype(dtype)
            exact = closest(given.astype(float))
            got = plain(call(answer, given), (3, 3))
            tolerance = 1e-8 if dtype == np.float64 else 1e-4
            if title == "a rotation" and same(got, exact, tolerance):
                continue
            mistakes = [*nearest_mistakes(given.astype(float)), *other_mistakes(given.astype(float), got, exact)]
            compare(f"For {title}:", got, exact, mistakes, tolerance, rough=1e-4)
    return "A rotation for every matrix. This is how tinyhpe reads its network (methods/rotation.py)."


def closest(matrix):
    """The nearest rotation by Davenport's q-method: the largest eigenvector of a 4 x 4 matrix is a quaternion."""
    b, z = (
        matrix,
        np.array([matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]]),
    )
    k = np.empty((4, 4))
    k[0, 0], k[0, 1:], k[1:, 0] = np.trace(b), z, z
    k[1:, 1:] = b + b.T - np.trace(b) * np.eye(3)
    w, x, y, z = np.linalg.eigh(k)[1][:, -1]
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def other_mistakes(matrix, got, exact):
    """What can be said of any wrong matrix: is it a rotation at all?"""
    if not isinstance(got, np.ndarray) or got.shape != (3, 3) or not np.isfinite(got).all():
        return
    if np.abs(got.T @ got - np.eye(3)).max() > 1e-3:
        why = "its columns are not three axes of length 1 at right angles"
        yield got, "the result is no rotation", why, "U and V^T of the SVD are orthogonal, and so is their product"
    elif np.linalg.det(got) < 0:
        why = "its determinant is -1: a mirrored head, which no turn reaches"
        yield got, "the result is a reflection", why, "np.linalg.det of the result tells; what has to give way?"
    else:
        here, best = ((got - matrix) ** 2).sum(), ((exact - matrix) ** 2).sum()
        why = "it is a rotation, but not the nearest"
        yield (
            got,
            f"its squared distance is {here:.4g}; {best:.4g} can be reached",
            why,
            "which column can be spared?",
        )


def nearest_mistakes(matrix):
    """What typical mistakes make of a matrix."""
    u, s, vt = np.linalg.svd(matrix)
    sign = np.sign(np.linalg.det(u @ vt))
    mirror = "it is orthogonal, but its determinant is -1: a mirrored head, which no turn reaches"
    yield u @ vt, "U @ V^T", mirror, "the smallest singular value may pay for it: one column changes its sign"
    yield -u @ vt, "- U @ V^T", "all three columns changed sign, and one would be nearer", "one column, which?"
    yield (
        sign * u @ vt,
        "U @ V^T times the sign of its determinant",
        ("all three columns changed sign, and one would be nearer"),
        "one column, which?",
    )
    for column in (0, 1):
        flip = np.ones(3)
        flip[column] = sign
        yield (
            (u * flip) @ vt,
            f"column {column} of U changed its sign",
            ("the wrong column: it has a large singular value, so giving it up costs more"),
            "singular values are sorted, the smallest comes last",
        )
    flip = np.array([1, 1, -1])
    yield (
        (u * flip) @ vt,
        "the last column of U always changes its sign",
        ("that is right only if U @ V^T is a mirror"),
        "multiply by the sign of the determinant",
    )
    for wrong in (u @ vt.T, (u * [1, 1, np.sign(np.linalg.det(u @ vt.T))]) @ vt.T):
        yield wrong, "U @ V", "np.linalg.svd returns V transposed already", "no further .T"
    yield (u * [1, 1, sign] @ vt).T, "the transposed of the right one", "it turns the other way", "no .T"
    yield vt @ u, "V^T @ U", "the factors are exchanged", "M = U S V^T, leave S away"
    yield (u * s) @ vt, "the matrix itself", "U S V^T is M again", "leave S away"
    yield matrix / np.linalg.norm(matrix), "M over its norm", "one number cannot make axes orthogonal", "SVD"
    yield (
        matrix / np.cbrt(np.linalg.det(matrix)),
        "M over the root of its determinant",
        ("one number cannot make axes orthogonal"),
        "SVD",
    )
    for axis in (0, 1):
        yield (
            matrix / np.linalg.norm(matrix, axis=axis, keepdims=True),
            "rows or columns of length 1",
            ("they have the right length, but they are not orthogonal"),
            "SVD",
        )
    for m, back in ((matrix, np.asarray), (matrix.T, np.transpose)):
        q, r = np.linalg.qr(m)
        q = q * np.sign(np.diag(r))
        yield (
            back(q),
            "Gram-Schmidt",
            "it trusts the first axis and corrects the others: a rotation, not the nearest",
            "SVD",
        )
        q = np.column_stack([q[:, 0], q[:, 1], np.cross(q[:, 0], q[:, 1])])
        yield (
            back(q),
            "Gram-Schmidt",
            "it trusts the first axis and corrects the others: a rotation, not the nearest",
            "SVD",
        )


JUDGES = {
    "07.1": rotation_matrix,
    "07.2": angles_of,
    "07.3": angle_between,
    "07.4": mirror_pose,
    "07.5": nearest_rotation,
}
HINTS = {
    "07.1": [
        "Three steps: name the three angles, make them radians, multiply three matrices with @.",
        "pose[0] is yaw, and yaw turns about axis 1. Which axis does pitch turn about?",
        "In A @ B @ C @ v the matrix C acts on v first. Which turn comes first?",
    ],
    "07.2": [
        "Print the source of euler_to_matrix above once more. Which entry holds nothing but one sine?",
        "sin(pitch) cos(yaw) and cos(pitch) cos(yaw) stand below each other. cos(yaw) is positive.",
        "arctan2 wants the sine first. np.clip(x, -1, 1) keeps the arc sine from NaN. np.rad2deg comes last.",
    ],
    "07.3": [
        "First D. Then two numbers of it, sine and cosine. Then arctan2 of the two.",
        "np.trace(d) adds the diagonal, np.linalg.norm(d - d.T) is the root of the sum of squares.",
        "Solve both formulas of the text: for cos, and for sin. arctan2 wants the sine first.",
    ],
    "07.4": [
        "Stand before a mirror, look to your left. Where does your mirror image look, in the image? Then look up.",
        "poses[:, 0] is the yaw of all heads. One row of three signs, multiplied by all poses, does it too.",
        "np.array([...]) of whole numbers is int64, and float32 times int64 is float64: give it poses.dtype.",
    ],
}
