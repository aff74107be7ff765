"""Bandwidth of the connection to the terminal, measured with fences: questions that the terminal answers in turn.

Nothing here writes to the terminal: the caller sends the data and the fence, and reports the answer.
"""

from __future__ import annotations

from collections import deque

__all__ = ["FENCE", "Bandwidth"]

FENCE = "\x1b[6n"
"""Question for the position of the cursor. Every terminal answers it after it has processed all data sent before."""

_LOST = 10.0
"""Seconds after which an answer is not expected any more."""
_FAST = 1e8
"""Bytes per second of a connection that was not measured, and the highest rate recorded."""
_MIN_MEASURED_BYTES = 6_000
"""Number of bytes below which the answer time measures the round trip instead of the rate."""


class Bandwidth:
    """The connection to the terminal. Times are in seconds of a monotonic clock.

    A connection counts as fast until it is measured. The rate is a median, so that one delay on a busy machine does not
    make it slow.

    Parameters
    ----------
    round_trip
        Seconds between a question and its answer; None if unknown.
    rate
        Bytes per second; None if unknown.
    """

    def __init__(self, round_trip: float | None = None, rate: float | None = None) -> None:
        self.round_trip = round_trip
        self._rates: deque[float] = deque([rate or _FAST] * 2, maxlen=3)
        self._waiting: deque[tuple[float, int]] = deque()

    @property
    def rate(self) -> float:
        """Bytes per second: the median of the last three measurements."""
        return sorted(self._rates)[len(self._rates) // 2]

    def transfer_seconds(self, size: int) -> float:
        """Return the seconds that `size` bytes take, without the round trip."""
        return size / self.rate

    def bytes_within(self, seconds: float) -> int:
        """Return the number of bytes that can be sent in `seconds`."""
        return int(self.rate * seconds)

    def record_sent(self, size: int, now: float) -> str:
        """Record that `size` bytes are sent at the time `now`, and return the fence to send after them."""
        self._waiting.append((now, size))
        return FENCE

    def is_busy(self, now: float) -> bool:
        """Return True if the answer to a fence is still expected at the time `now`."""
        while self._waiting and now - self._waiting[0][0] > _LOST:
            self._waiting.popleft()
        return bool(self._waiting)

    def record_answer(self, now: float) -> None:
        """Record the answer to the oldest fence, which came at the time `now`."""
        if not self._waiting:
            return
        begun, size = self._waiting.popleft()
        took = max(now - begun, 1e-4)
        if size < _MIN_MEASURED_BYTES:
            self.round_trip = took if self.round_trip is None else min(self.round_trip, took)
        elif not self._waiting:  # otherwise data sent later shares the measured time
            self._rates.append(min(size / max(took - (self.round_trip or 0.0), took / 20), _FAST))
