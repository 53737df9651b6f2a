"""Choice of the vectors of a clip: contextual, fused (its own detail, without context), or both."""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from mediafm_core.errors import MediaFMError

VectorChoice = Literal["context", "fused", "both"]


def parts_of(choice: VectorChoice) -> tuple[str, ...]:
    """Return the names of the vectors of a choice, the contextual one first.

    Raises:
        MediaFMError: there is no such choice.
    """
    if choice not in get_args(VectorChoice):
        raise MediaFMError(
            f"There are no vectors {choice!r}: choose one of {', '.join(get_args(VectorChoice))}."
        )
    return ("context", "fused") if choice == "both" else (choice,)


def chosen_vectors(
    choice: VectorChoice, context: Callable[[], np.ndarray], fused: Callable[[], np.ndarray]
) -> np.ndarray:
    """Compute the chosen vectors, side by side if both are chosen.

    Args:
        choice: the vectors.
        context: computes `[k, h]`.
        fused: computes `[k, f]`.

    Returns:
        `[k, h]`, `[k, f]` or `[k, h + f]`; neither part is scaled.

    Raises:
        MediaFMError: there is no such choice.
    """
    makers = {"context": context, "fused": fused}
    found = [makers[name]() for name in parts_of(choice)]
    return found[0] if len(found) == 1 else np.concatenate(found, axis=1)
