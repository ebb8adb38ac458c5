"""In which order of memory a network takes its images."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ntprune.errors import out_of_memory
from ntprune.models.preprocessing import Preprocessing


def probe(pre: Preprocessing) -> Tensor:
    """Two images as a network reads them (float32, N×C×H×W), not all of one value."""
    values = torch.linspace(-1, 1, 2 * pre.channels * pre.size**2)
    return values.view(2, pre.channels, pre.size, pre.size)


@torch.no_grad()
def find_layout(module: nn.Module, pre: Preprocessing) -> torch.memory_format:
    """Channels last, which is faster, unless the forward of `module` refuses it.

    One that takes feature maps apart by `view` does: their strides don't allow it.
    """
    turned = copy.deepcopy(module).cpu().eval()
    try:
        turned.to(memory_format=torch.channels_last)
        turned(probe(pre).to(memory_format=torch.channels_last))
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        return torch.contiguous_format
    return torch.channels_last
