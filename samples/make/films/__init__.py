"""The storyboards."""

from ..film import Film
from .astronaut import FILM as ASTRONAUT
from .cat import FILM as CAT
from .observatory import FILM as OBSERVATORY
from .raccoon import FILM as RACCOON

FILMS: tuple[Film, ...] = (ASTRONAUT, CAT, OBSERVATORY, RACCOON)
