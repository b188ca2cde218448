"""Light on a head: a sky, one or two lamps, highlights, and the shadows that parts of the head throw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyhpe.heads.raster import Fragments

SHADOW_STEPS = np.array((0.08, 0.16, 0.27, 0.4, 0.6, 0.85, 1.15, 1.5), np.float32)
CAMERA_DIRECTION = np.array((0, 0, 1), np.float32)
SHADOW_BIAS, SHADOW_THICKNESS = 0.04, 1.2
VERY_FAR = -1e6  # depth where there is nothing


@dataclass
class Lamp:
    """direction (3,) towards the lamp; colour (3,); wrap: 0 a hard lamp, 0.5 a soft one that reaches around."""

    direction: np.ndarray
    colour: np.ndarray
    wrap: float


@dataclass
class Light:
    """ambient (3,) from everywhere, sky (3,) from above, lamps, and how shiny things are."""

    ambient: np.ndarray
    sky: np.ndarray
    lamps: list[Lamp]
    shine: float
    sharpness: float
    shadow: float  # how much of the first lamp a shadow takes away


def sample_light(rng: np.random.Generator) -> Light:
    """From an overcast day to a single lamp at the side in a dark room."""
    harsh = rng.random() < 0.15
    lamps = []
    for strength in (1.0, *([0.5] if rng.random() < 0.5 else [])):
        azimuth, elevation = np.deg2rad((rng.normal(0, 45), np.clip(rng.normal(25, 25), -40, 85)))
        direction = np.array(
            (np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation))
        )
        colour = strength * rng.uniform(0.45, 1.0) * (1 + rng.normal(0, 0.05, 3))
        wrap = 0.0 if harsh else rng.uniform(0.2, 0.7)
        lamps.append(Lamp(direction.astype(np.float32), colour.astype(np.float32), wrap))
    return Light(
        ambient=_tinted(rng.uniform(0.03, 0.2) if harsh else rng.uniform(0.25, 0.9), rng),
        sky=_tinted(rng.uniform(0, 0.3), rng),
        lamps=lamps,
        shine=rng.uniform(0, 0.16),
        sharpness=rng.uniform(6, 40),
        shadow=rng.uniform(0.3, 1.0) if rng.random() < 0.6 else 0.0,
    )


def _tinted(strength, rng):
    return (strength * (1 + rng.normal(0, 0.04, 3))).astype(np.float32)


def shade(light: Light, colour, gloss, normals, lit) -> np.ndarray:
    """Colours (3, K) under the light, for paint (3, K), gloss (K,), unit normals (3, K) towards the camera.

    `lit` (K,) is 1 where the first lamp is seen and 0 in its shadow. Diffuse part after Lambert, highlight after
    Blinn and Phong: as strong as the normal is near the middle between the lamp and the camera.
    """
    diffuse = light.ambient[:, None] + light.sky[:, None] * (0.5 + 0.5 * normals[1])
    highlight = np.zeros(normals.shape[1], np.float32)
    for lamp in light.lamps:
        facing = np.maximum((lamp.direction @ normals + lamp.wrap) / (1 + lamp.wrap), 0) * lit
        diffuse += lamp.colour[:, None] * facing
        middle = lamp.direction + CAMERA_DIRECTION
        middle /= np.linalg.norm(middle)
        highlight += lamp.colour.mean() * lit * np.clip(middle @ normals, 0, 1) ** light.sharpness
        lit = np.ones_like(lit)  # only the first lamp throws shadows
    return colour * diffuse + light.shine * gloss * highlight


def cast_shadows(lamp: Lamp, seen: Fragments, size: int, scale: float) -> np.ndarray:
    """How much of the lamp each of K fragments sees: 1 all, 0 nothing.

    Walks from every pixel a few steps towards the lamp, over the image, and asks the depth buffer whether
    something stands in between. All pixels walk together: a step is the depth buffer shifted. Only what the
    camera sees can throw a shadow: enough for a nose, a chin and the peak of a cap. `scale` is pixels per unit
    of depth.
    """
    reach = int(SHADOW_STEPS[-1] * scale) + 1
    padded = np.full((size + 2 * reach, size + 2 * reach), VERY_FAR, np.float32)
    depth = padded[reach:-reach, reach:-reach]
    depth[np.divmod(seen.pixel, size)] = seen.depth
    shadow = np.zeros((size, size), bool)
    right, up, towards = lamp.direction
    for step in SHADOW_STEPS:
        top, left = reach - round(step * up * scale), reach + round(step * right * scale)
        above = padded[top : top + size, left : left + size] - (depth + step * towards)
        shadow |= (above > SHADOW_BIAS + np.float32(0.1) * step) & (above < SHADOW_THICKNESS)
    return 1 - shadow.ravel()[seen.pixel].astype(np.float32)
