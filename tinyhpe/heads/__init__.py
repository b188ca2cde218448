"""Heads made from code: a person, a pose, a light, a camera, and no data set anywhere.

raster      grids of points, and triangles to pixels with a z-buffer
shape       the head itself: skull, face, neck, and its 68 landmarks
wardrobe    what it wears: ears, hair, hats, glasses, clothes
texture     the paint: skin, eyes, brows, lips, beard, hair, cloth
light       lamps, highlights and shadows
backdrop    what is behind the head and in front of it, and the camera
scene       all of it together: `render_head`
"""

from tinyhpe.heads.scene import Head, contact_sheet, render_head

__all__ = ["Head", "contact_sheet", "render_head"]
