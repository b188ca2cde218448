"""tinyhpe: deep learning for head pose, from nothing."""
