"""What is shown just before and just after a shot, told beside its own content.

Training that copies hidden shots from visible ones needs no layer to carry what a visible shot's
neighbours show, and in a few hundred steps none learns to: contextual vectors of 15 films said as
little of the shot before as the shot itself did. So each token is told it from the first step on:
a linear map of the mean of some shots before, and of some after. Layers build on that.
"""

import torch
from torch import nn
from torch.nn import functional


class Surroundings(nn.Module):
    """A linear map of the mean fused vectors before and after each shot.

    Args:
        fused_size: width of the fused vectors.
        hidden_size: width of the result.
        reach: how many shots on each side; those that are not there count as zeros.
    """

    def __init__(self, fused_size: int, hidden_size: int, reach: int) -> None:
        super().__init__()
        self.reach = reach
        self.projection = nn.Linear(2 * fused_size, hidden_size)

    def forward(self, fused: torch.Tensor, present: torch.Tensor | None = None) -> torch.Tensor:
        """What to add to each shot's token, `[b, n, h]`.

        Args:
            fused: `[b, n, d]`; zeros are nothing.
            present: `[b, n]` bool, False where a row is padding.
        """
        if present is not None:
            fused = fused.masked_fill(~present[..., None], 0)
        count = fused.shape[1]
        around = functional.pad(fused, (0, 0, self.reach, self.reach))  # [b, n + 2 reach, d]
        windows = around.unfold(1, self.reach, 1)  # [b, n + reach + 1, d, reach]
        means = windows.mean(dim=-1)
        told: torch.Tensor = self.projection(
            torch.cat([means[:, :count], means[:, self.reach + 1 :]], dim=-1)
        )
        return told
