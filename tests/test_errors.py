"""Errors that another process reads from a line."""

from __future__ import annotations

import pickle

from ntprune.errors import ConstraintError, SettingsError


def test_what_was_lost_is_read_back_from_the_line() -> None:
    error = ConstraintError(2.834, 0.75)
    assert ConstraintError.lost_in(f"ntprune: {error}") == 2.83
    assert ConstraintError.lost_in(str(SettingsError("--sparsity 2"))) is None


def test_it_crosses_process_borders() -> None:
    error = pickle.loads(pickle.dumps(ConstraintError(2.834, 0.75)))
    assert ConstraintError.lost_in(str(error)) == 2.83
