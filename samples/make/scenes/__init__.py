"""Places of the films. Each function returns a `Scene`, which draws the picture of a moment."""
