"""Places at which a test may make a run fail, stand still or die; nothing happens there otherwise.

Every access to storage passes one, and so do decoding, the fit of a label model and the steps of
training. A test installs what happens there, in this process or, by `sitecustomize`, in every one.
"""

from collections.abc import Callable

Hook = Callable[[str, object], None]
"""Is called with the name of the place and with what is at hand there: a path, or bytes."""

_hooks: list[Hook] = []


def reach(place: str, what: object = None) -> None:
    """Come by a place; a hook may raise, wait, or end the process."""
    for hook in _hooks:
        hook(place, what)


def install(hook: Hook | None) -> None:
    """Have a hook called at every place; None for none."""
    _hooks[:] = [] if hook is None else [hook]
