"""Head pose from the camera, as a page in the browser: `tinyhpe live`.

page.html  the whole page: camera, photo or drawn head; smoothing, axes, numbers, a game
answers    what the page asks for: a drawn head, the poses in a picture, by which network
server     who may ask, how much, and how long: HTTP on this machine alone
"""

from tinyhpe.live.server import PORT, serve

__all__ = ["PORT", "serve"]
