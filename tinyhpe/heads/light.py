"""Light on a head: a sky, one or two lamps, highlights, and the shadows that parts of the head throw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyhpe.heads.raster import Fragments

SHADOW_STEPS = np.array((0.08, 0.16, 0.27, 0.4, 0.6, 0.85, 1.15, 1.5), np.float32)
CAMERA_DIRECTION = np.array((0, 0, 1), np.float32)
SHADOW_BIAS, SHADOW_THICKNESS = 0.04, 1.2


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
    harsh = rng.random() < 0.3
    lamps = []
    for strength in (1.0, *([0.5] if rng.random() < 0.5 else [])):
        azimuth, elevation = np.deg2rad((rng.normal(0, 55), np.clip(rng.normal(25, 28), -40, 85)))
        direction = np.array(
            (np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation))
        )
        colour = strength * rng.uniform(0.45, 1.0) * (1 + rng.normal(0, 0.08, 3))
        wrap = 0.0 if harsh else rng.uniform(0, 0.45)
        lamps.append(Lamp(direction.astype(np.float32), colour.astype(np.float32), wrap))
    return Light(
        ambient=_tinted(rng.uniform(0.03, 0.2) if harsh else rng.uniform(0.15, 0.6), rng),
        sky=_tinted(rng.uniform(0, 0.3), rng),
        lamps=lamps,
        shine=rng.uniform(0, 0.22),
        sharpness=rng.uniform(6, 40),
        shadow=rng.uniform(0.4, 1.0) if rng.random() < 0.7 else 0.0,
    )


def _tinted(strength, rng):
    return (strength * (1 + rng.normal(0, 0.07, 3))).astype(np.float32)


def shade(light: Light, colour, gloss, normals, lit) -> np.ndarray:
    """Colours (K, 3) under the light, for paint (K, 3), gloss (K,), unit normals (K, 3) towards the camera.

    `lit` (K,) is 1 where the first lamp is seen and 0 in its shadow. Diffuse part after Lambert, highlight after
    Blinn and Phong: as strong as the normal is near the middle between the lamp and the camera.
    """
    diffuse = light.ambient + (0.5 + 0.5 * normals[:, 1:2]) * light.sky
    highlight = np.zeros(len(normals), np.float32)
    for lamp in light.lamps:
        facing = np.clip((normals @ lamp.direction + lamp.wrap) / (1 + lamp.wrap), 0, None) * lit
        diffuse = diffuse + facing[:, None] * lamp.colour
        middle = lamp.direction + CAMERA_DIRECTION
        middle /= np.linalg.norm(middle)
        highlight += lamp.colour.mean() * lit * np.clip(normals @ middle, 0, 1) ** light.sharpness
        lit = np.ones_like(lit)  # only the first lamp throws shadows
    return colour * diffuse + (light.shine * gloss * highlight)[:, None]


def cast_shadows(lamp: Lamp, seen: Fragments, size: int, scale: float) -> np.ndarray:
    """How much of the lamp each of K fragments sees: 1 all, 0 nothing.

    Walks from every fragment a few steps towards the lamp, over the image, and asks the depth buffer whether
    something stands in between. Only what the camera sees can throw a shadow: enough for a nose, a chin and
    the peak of a cap. `scale` is pixels per unit of depth.
    """
    depth = np.full(size * size, -np.inf, np.float32)
    depth[seen.pixel] = seen.depth
    row, column = np.divmod(seen.pixel, size)
    lit = np.ones(len(seen.pixel), np.float32)
    right, up, towards = lamp.direction
    for step in SHADOW_STEPS:
        x = np.clip(column + round(step * right * scale), 0, size - 1)
        y = np.clip(row - round(step * up * scale), 0, size - 1)
        above = depth[y * size + x] - (seen.depth + np.float32(step * towards))
        lit[(above > SHADOW_BIAS + 0.1 * step) & (above < SHADOW_THICKNESS)] = 0
    return lit
