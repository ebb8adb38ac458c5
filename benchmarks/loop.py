"""The training loop against a bare hand-written one: same net, same resident data, same steps."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import interleaved, seconds
from ntprune.domains import domain
from ntprune.engine import Batches, Resident, generator, train
from ntprune.models import Model, ModelSpec, Preprocessing

STEPS, BATCH = 60, 128


def make_model(width: int = 32, size: int = 16) -> Model:
    """The six-convolution net at 16×16, grey."""
    source = domain("optdigits", size=size)
    spec = ModelSpec(
        architecture="convnet",
        classes=source.classes,
        width=width,
        preprocessing=Preprocessing.fit(source.owner_train.images, 1, size),
    )
    return Model.fresh(spec, seed=0)


def make_data(model: Model, images: int = 4096) -> Resident:
    """Random pixels and labels: the loop's speed doesn't depend on them."""
    draw = torch.Generator().manual_seed(0)
    pre = model.preprocessing
    pixels = torch.randint(
        256, (images, pre.channels, pre.size, pre.size), dtype=torch.uint8, generator=draw
    )
    return Resident(pixels, torch.randint(10, (images,), generator=draw))


def bare(model: Model, data: Resident) -> None:
    """What one would write by hand, with nothing but torch."""
    module, pre = model.module, model.preprocessing
    optimiser = torch.optim.AdamW(module.parameters(), lr=3e-3, weight_decay=5e-4, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=3e-3, total_steps=STEPS)
    module.train()
    order = torch.randperm(len(data))
    for step in range(STEPS):
        at = step * BATCH % (len(data) - BATCH)
        index = order[at : at + BATCH]
        images: Tensor = data.images[index].to(torch.float32, memory_format=torch.channels_last)
        images = images.sub_(255 * pre.mean[0]).div_(255 * pre.std[0])
        loss = F.cross_entropy(module(images), data.labels[index])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()


def gemm_peak(size: int = 2048, repeats: int = 8) -> float:
    """Single-precision matrix-product peak (FLOP/s), the best of several."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    best = min(seconds(lambda: a @ b) for _ in range(repeats))
    return 2 * size**3 / best


def measure(rounds: int = 7) -> dict[str, Any]:
    """Throughput of both loops, their ratio, and the share of the machine's peak."""
    model = make_model()
    data = make_data(model)

    def ours() -> None:
        train(model, Batches(data, BATCH, generator(0, "bench")), STEPS, lr=3e-3)

    mine, theirs, ratio = interleaved(ours, lambda: bare(model, data), rounds)
    with FlopCounterMode(display=False) as flops:
        images, labels = data.images[:BATCH], data.labels[:BATCH]
        F.cross_entropy(model(images), labels).backward()
    rate = STEPS * BATCH / mine
    used = flops.get_total_flops() / BATCH * rate
    peak = gemm_peak()
    return {
        "threads": torch.get_num_threads(),
        "images_per_second": round(rate),
        "bare_images_per_second": round(STEPS * BATCH / theirs),
        "throughput_ratio_to_bare": round(1 / ratio, 3),
        "gflops": round(used / 1e9, 1),
        "sgemm_peak_gflops": round(peak / 1e9, 1),
        "share_of_peak": round(used / peak, 3),
    }
