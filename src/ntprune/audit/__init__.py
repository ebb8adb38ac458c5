"""Attacking a released file as a thief would.

`ntprune.audit(...)` is the verb, `ntprune.audit` also the package behind it: the module can be
called.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from ntprune.audit.forecast import Forecast, forecast
from ntprune.audit.prepare import Prepared, prepare
from ntprune.audit.protocol import PROTOCOLS, Protocol, Recipe, protocol
from ntprune.audit.run import Audit, audit
from ntprune.audit.schema import Report
from ntprune.audit.single import Single, single

__all__ = [
    "PROTOCOLS",
    "Audit",
    "Forecast",
    "Prepared",
    "Protocol",
    "Recipe",
    "Report",
    "Single",
    "audit",
    "forecast",
    "prepare",
    "protocol",
    "single",
]


class _Verb(ModuleType):
    # The import system binds a package's name in its parent, so `ntprune.audit` can't be a plain
    # function once anything below it was imported.
    def __call__(self, *args: Any, **kwargs: Any) -> Audit:
        return audit(*args, **kwargs)


sys.modules[__name__].__class__ = _Verb
