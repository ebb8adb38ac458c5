"""A protocol cut down to what there is time for, under a name that says so."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ntprune.audit.protocol import FEWEST, Protocol
from ntprune.domains import Domain
from ntprune.errors import SettingsError


@dataclass(frozen=True)
class Reduction:
    """What an audit does otherwise than its protocol; `None` for what it leaves alone.

    Attributes:
        budgets: other sample counts.
        attacks: of the protocol's attacks on the release, these alone. A control is attacked with
            those of its own that are among them, so that the two can be compared, and with all of
            its own where none is.
        controls: of the protocol's controls these alone, `unprotected` among them.
        first_seed: of the thieves.
    """

    budgets: Sequence[int] | None = None
    attacks: Sequence[str] | None = None
    controls: Sequence[str] | None = None
    first_seed: int = 0

    def of(self, rules: Protocol, target: Domain) -> tuple[Protocol, list[int]]:
        """The protocol and the grid that are left, the name with everything that was changed.

        Raises:
            SettingsError: budgets that the pool can't serve, or names that the protocol hasn't.
        """
        changes: dict[str, object] = {}
        named = []
        grid = rules.budgets(len(target.pool)) if self.budgets is None else self._grid(target)
        if self.budgets is not None:
            named.append(f"budgets {','.join(map(str, grid))}")
        controls = dict(rules.controls)
        if self.attacks is not None:
            kept = _among(self.attacks, rules.attacks, "attack", rules.name)
            controls = {name: _shared(mine, kept) for name, mine in controls.items()}
            changes["attacks"] = kept
            # The thief from scratch has the main recipe, as controls have, and of the others those
            # that an attack is left with.
            changes["variants"] = {
                name: recipe
                for name, recipe in rules.variants.items()
                if any(attack.endswith(f"@{name}") for attack in kept)
            }
            named.append(f"attacks {','.join(kept)}")
        if self.controls is not None:
            names = _among(self.controls, rules.controls, "control", rules.name)
            if "unprotected" in rules.controls and "unprotected" not in names:
                raise SettingsError(
                    "controls must name 'unprotected': without it nothing shows that there was "
                    "a head start to take away"
                )
            controls = {name: controls[name] for name in names}
            named.append(f"controls {','.join(names)}")
        if self.first_seed:
            changes["first_seed"] = self.first_seed
            named.append(f"seeds from {self.first_seed}")
        if not named:
            return rules, grid
        changes |= {"name": f"{rules.name} with {', '.join(named)}", "controls": controls}
        return rules.model_copy(update=changes), grid

    def _grid(self, target: Domain) -> list[int]:
        pool = len(target.pool)
        if isinstance(self.budgets, str):
            raise SettingsError(f"budgets: found {self.budgets!r}, expected counts such as [8, 64]")
        given = [] if self.budgets is None else list(self.budgets)
        try:
            grid = sorted({operator.index(count) for count in given})
        except TypeError as error:
            raise SettingsError(
                f"budgets: found {given}, expected whole numbers such as [8, 64]"
            ) from error
        if len(grid) < 2 or grid[0] < FEWEST:
            raise SettingsError(
                f"budgets {', '.join(map(str, grid))}: expected at least two different counts, "
                f"each at least {FEWEST}"
            )
        if grid[-1] > pool:
            raise SettingsError(
                f"budget {grid[-1]} exceeds the {pool} images of the thief's pool of "
                f"'{target.name}': use budgets up to {pool}"
            )
        return grid


def _among(names: Sequence[str], known: Iterable[str], kind: str, rules: str) -> tuple[str, ...]:
    """`names` in the protocol's order, so that one reduction has one name."""
    known = tuple(known)
    if isinstance(names, str):
        raise SettingsError(f"{kind}s: found {names!r}, expected names such as [{known[0]!r}]")
    strange = [name for name in names if name not in known]
    if strange or not names:
        raise SettingsError(
            f"protocol {rules} has no {kind} '{strange[0] if strange else ''}': choose from "
            f"{', '.join(known)}"
        )
    return tuple(name for name in known if name in names)


def _shared(mine: tuple[str, ...], kept: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(attack for attack in mine if attack in kept) or mine
