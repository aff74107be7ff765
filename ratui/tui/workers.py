"""Work beside the screen, in a thread that knows its app even when the screen that asked for it is gone meanwhile.

It decides nothing: what is worked at, and whether its outcome is still wanted, is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context

from textual.dom import DOMNode
from textual.worker import Worker, active_worker, get_current_worker

__all__ = ["run_in_thread"]


def run_in_thread(node: DOMNode, work: Callable[[], None], *, group: str, exit_on_error: bool = True) -> Worker[None]:
    """Runs `work` for `node` in a thread of its own; what it has going in `group` is overtaken.

    Textual's own thread workers find the app by the node's parents. A widget that has been taken off the screen has
    none, and the failed search would end the app: so `work` runs in the context of the call.
    """
    context = copy_context()

    def run() -> None:
        worker = get_current_worker()

        def inside() -> None:
            active_worker.set(worker)
            work()

        context.run(inside)

    return node.run_worker(run, thread=True, exclusive=True, group=group, exit_on_error=exit_on_error)
