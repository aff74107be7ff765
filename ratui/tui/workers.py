"""Background work in threads that know the app, even if the screen that started the work has been closed meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context

from textual.dom import DOMNode
from textual.worker import Worker, active_worker, get_current_worker

__all__ = ["run_in_thread"]


def run_in_thread(node: DOMNode, work: Callable[[], None], *, group: str) -> Worker[None]:
    """Run `work` for `node` in a thread of its own, and cancel the earlier work of `node` in `group`.

    A thread cannot be stopped: `work` has to check ``get_current_worker().is_cancelled`` itself. An exception that `work`
    raises ends the app.

    Parameters
    ----------
    node
        The screen or widget that the work is for.
    work
        A function without arguments.
    group
        The name of the kind of work. At most one work of a group counts for each node.

    Returns
    -------
    Worker
        Textual's worker.
    """
    # Textual's thread workers search for the app through the node's parents. A widget that was removed has no parents,
    # and the failed search would end the app. The context of this call contains the app.
    context = copy_context()

    def run() -> None:
        worker = get_current_worker()

        def inside() -> None:
            active_worker.set(worker)
            work()

        context.run(inside)

    return node.run_worker(run, thread=True, exclusive=True, group=group)
