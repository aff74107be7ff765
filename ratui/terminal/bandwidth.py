"""What the line to the terminal carries: measured by what comes back after what was sent, never guessed.

It writes nothing itself: the caller sends, adds the fence that `sent` returns, and reports each answer.
"""

from __future__ import annotations

from collections import deque

__all__ = ["FENCE", "Bandwidth"]

FENCE = "\x1b[6n"
"""Asks where the cursor is: every terminal answers, and only when it has taken all that came before."""

_LOST = 10.0
"""Seconds after which an answer won't come any more."""
_FAST = 1e8
_MIN_MEASURED_BYTES = 6_000
"""Bytes below which an answer tells the round trip, not the rate."""


class Bandwidth:
    """The line to the terminal. `round_trip` is in seconds, None where not known. Times are those of a monotonic clock,
    in seconds. A line that nothing is known of counts as fast, and one hiccup of a busy machine makes it no slow one."""

    def __init__(self, round_trip: float | None = None, rate: float | None = None) -> None:
        self.round_trip = round_trip
        self._rates: deque[float] = deque([rate or _FAST] * 2, maxlen=3)
        self._waiting: deque[tuple[float, int]] = deque()

    @property
    def rate(self) -> float:
        """What it carries, in bytes a second: the median of the last three measurements."""
        return sorted(self._rates)[len(self._rates) // 2]

    def transfer_seconds(self, size: int) -> float:
        """How long `size` bytes take to get through, the round trip apart."""
        return size / self.rate

    def bytes_within(self, seconds: float) -> int:
        """How many bytes get through in `seconds`."""
        return int(self.rate * seconds)

    def record_sent(self, size: int, now: float) -> str:
        """Notes that `size` bytes are being sent; returns the fence to send after them."""
        self._waiting.append((now, size))
        return FENCE

    def is_busy(self, now: float) -> bool:
        """Whether something sent has not been answered yet."""
        while self._waiting and now - self._waiting[0][0] > _LOST:
            self._waiting.popleft()
        return bool(self._waiting)

    def record_answer(self, now: float) -> None:
        """Takes the answer to the oldest fence into account."""
        if not self._waiting:
            return
        begun, size = self._waiting.popleft()
        took = max(now - begun, 1e-4)
        if size < _MIN_MEASURED_BYTES:
            self.round_trip = took if self.round_trip is None else min(self.round_trip, took)
        elif not self._waiting:  # else more was sent meanwhile, and what of the time was whose can't be told
            self._rates.append(min(size / max(took - (self.round_trip or 0.0), took / 20), _FAST))
