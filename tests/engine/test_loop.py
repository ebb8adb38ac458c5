"""The training loop."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ntprune.domains import Domain
from ntprune.engine import Batches, Resident, generator, train
from ntprune.engine.loop import TrainLog, make_optimiser
from ntprune.errors import TrainingDivergedError
from ntprune.models import Model
from ntprune.release import Release


@pytest.fixture
def model(tiny_base: Release) -> Model:
    return Model.fresh(tiny_base.model.spec, seed=5)


@pytest.fixture
def data(tiny_base: Release, tiny_source: Domain) -> Resident:
    return Resident.of(tiny_source.train, tiny_base.model.preprocessing, torch.device("cpu"))


def batches(data: Resident, seed: int = 0) -> Batches:
    return Batches(data, 32, generator(seed), shift=1)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_the_same_seed_gives_the_same_weights(model: Model, data: Resident, optimiser: str) -> None:
    def run(seed: int) -> tuple[dict[str, Tensor], TrainLog]:
        mine = model.copy()
        log = train(mine, batches(data, seed), 6, lr=0.01, optimiser=optimiser)
        return mine.module.state_dict(), log

    (first, log), (again, same_log), (other, _) = run(0), run(0), run(1)
    assert same(first, again)
    assert torch.equal(log.losses, same_log.losses)
    assert not same(first, other)
    assert not same(first, model.module.state_dict())


def test_it_learns_and_says_so(model: Model, data: Resident) -> None:
    log = train(model, batches(data), 80, lr=0.01)
    assert len(log.losses) == 80
    assert log.losses.dtype == torch.float32
    assert log.first == pytest.approx(float(log.losses[:8].mean()))
    assert log.last == pytest.approx(float(log.losses[-8:].mean()))
    assert log.last < 0.5 * log.first
    assert log.falling == pytest.approx(1 - log.last / float(log.losses[40:48].mean()))
    assert not model.module.training


@pytest.mark.parametrize(
    ("losses", "falling"),
    [
        ([2.0] * 20, 0.0),
        ([2.0] * 10 + [1.0] * 8 + [0.5] * 2, 0.5),
        ([1.0] * 18 + [2.0] * 2, -1.0),
        ([3.0], 0.0),
        ([3.0, 1.0, 1.0], 0.0),
        ([0.0] * 20, 0.0),
    ],
)
def test_whether_the_loss_was_still_falling(losses: list[float], falling: float) -> None:
    assert TrainLog(torch.tensor(losses)).falling == pytest.approx(falling)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10])
def test_steps_are_counted_exactly(model: Model, data: Resident, steps: int) -> None:
    drawn = batches(data)
    taken, looked, rates = [], [], []

    class Counting:
        def next(self) -> tuple[Tensor, Tensor]:
            taken.append(1)
            return drawn.next()

    def prepare(optimiser: torch.optim.Optimizer) -> None:
        optimiser.register_step_post_hook(lambda o, *_: rates.append(o.param_groups[0]["lr"]))

    log = train(
        model,
        Counting(),  # type: ignore[arg-type]
        steps,
        lr=0.01,
        prepare=prepare,
        every=3,
        on_step=looked.append,
    )
    assert len(taken) == len(rates) == len(log.losses) == steps
    assert looked == sorted({*range(3, steps + 1, 3), steps})
    assert all(0 < rate <= 0.01 + 1e-12 for rate in rates)
    if steps >= 7:  # up, then down to almost nothing
        peak = rates.index(max(rates))
        assert 0 < peak < steps // 2
        assert rates[peak] == pytest.approx(0.01, rel=0.1)
        assert rates[-1] < 1e-6


def test_who_looks_in_may_change_the_mode(model: Model, data: Resident) -> None:
    modes = []

    def look(step: int) -> None:
        model.module.eval()

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        modes.append(model.module.training)
        return F.cross_entropy(logits, labels)

    train(model, batches(data), 4, lr=0.01, loss=loss, every=1, on_step=look)
    assert modes == [True] * 4


def test_only_the_parameters_asked_for_are_trained(model: Model, data: Resident) -> None:
    before = copy.deepcopy(model.module.state_dict())
    train(model, batches(data), 3, lr=0.01, parameters=model.head.parameters())
    moved = {k for k, p in model.module.named_parameters() if not torch.equal(p, before[k])}
    assert moved == {k for k, _ in model.module.named_parameters() if k.startswith("classifier")}


def test_a_frozen_parameter_stays(model: Model, data: Resident) -> None:
    first = next(model.module.parameters())
    first.requires_grad_(False)
    before = first.clone()
    train(model, batches(data), 3, lr=0.01)
    assert torch.equal(first, before)


def test_divergence_is_reported_with_the_learning_rate(model: Model, data: Resident) -> None:
    def broken(logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels) * float("inf")

    with pytest.raises(TrainingDivergedError, match=r"after 3 steps.*now 0.02"):
        train(model, batches(data), 3, lr=0.02, loss=broken)


def test_a_learning_rate_out_of_this_world_diverges(model: Model, data: Resident) -> None:
    with pytest.raises(TrainingDivergedError):
        train(model, batches(data), 20, lr=1e20, optimiser="sgd")


def test_the_global_random_state_is_not_used(model: Model, data: Resident) -> None:
    before = torch.random.get_rng_state()
    train(model, batches(data), 3, lr=0.01)
    assert torch.equal(before, torch.random.get_rng_state())


def test_another_objective_and_mode_take_the_place_of_the_usual(
    model: Model, data: Resident
) -> None:
    modes: list[bool] = []

    def objective(images: Tensor, labels: Tensor) -> Tensor:
        modes.append(model.module.training)
        return 2 * F.cross_entropy(model(images), labels)

    plain = copy.deepcopy(model)
    log = train(
        model,
        batches(data),
        3,
        lr=1e-30,
        objective=objective,
        mode=model.module.eval,
        every=1,
        on_step=lambda step: model.module.train(),
    )
    assert modes == [False] * 3
    plain.module.eval()
    images, labels = batches(data).next()
    assert log.losses[0].item() == pytest.approx(2 * F.cross_entropy(plain(images), labels).item())


def test_phases_make_one_log_whose_figures_are_the_last_phases() -> None:
    one, two = TrainLog(torch.full((10,), 9.0)), TrainLog(torch.linspace(2, 1, 11))
    both = one.then(two)
    assert (len(both.losses), both.phase) == (21, 10)
    assert (both.first, both.last) == (two.first, two.last) == (2.0, 1.0)
    assert both.falling == two.falling
    three = both.then(TrainLog(torch.ones(1)))
    assert (len(three.losses), three.phase, three.first, three.last) == (22, 21, 1.0, 1.0)
    assert TrainLog(torch.ones(3)).then(both).phase == 13


@pytest.mark.parametrize("schedule", ["constant", "one-cycle"])
def test_schedules(model: Model, data: Resident, schedule: str) -> None:
    seen: list[float] = []

    def watch(optimiser: torch.optim.Optimizer) -> None:
        optimiser.register_step_post_hook(lambda opt, *_: seen.append(opt.param_groups[0]["lr"]))

    train(model.copy(), batches(data), 10, lr=1e-3, schedule=schedule, prepare=watch)
    assert max(seen) == pytest.approx(1e-3)
    assert (min(seen) == pytest.approx(1e-3)) is (schedule == "constant")


def test_only_adamw_decouples_weight_decay() -> None:
    """Without any gradient of the loss, Adam normalises the penalty to a step of length lr."""
    moved = {}
    for name in ("adam", "adamw"):
        weight = torch.nn.Parameter(torch.ones(3))
        optimiser = make_optimiser([weight], name, 0.1, 0.01)
        weight.grad = torch.zeros(3)
        optimiser.step()
        moved[name] = 1 - weight.detach()
    torch.testing.assert_close(moved["adam"], torch.full((3,), 0.1), atol=1e-4, rtol=0)
    torch.testing.assert_close(moved["adamw"], torch.full((3,), 0.001), atol=1e-6, rtol=0)
