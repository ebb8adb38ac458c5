"""A small protected release on disk, one copy a test."""

from tests.release.conftest import folder, pristine

__all__ = ["folder", "pristine"]
