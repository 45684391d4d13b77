# SPDX-License-Identifier: MIT
"""Runtime hooks, as Lambda's SnapStart for Python has them: what is to be done before the process
that has gone through init becomes one that is forked for each event (reuse: fork), and in each of
these forks before its event. Elsewhere they are never called."""

_before_snapshot = []
_after_restore = []


def register_before_snapshot(func, *args, **kwargs):
    """Called once, the last one first."""
    _before_snapshot.append((func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    """Called for each event, the first one first."""
    _after_restore.append((func, args, kwargs))
    return func


def get_before_snapshot():
    return _before_snapshot


def get_after_restore():
    return _after_restore
