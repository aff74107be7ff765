"""The frame cache stays within its limit, here and in the terminal, and never removes a frame on the screen."""

import numpy as np
from PIL import Image

from ratui.terminal import Display, FrameCache, KittyFrame, encode


def frames(count: int) -> list[KittyFrame]:
    made = []
    for seed in range(count):
        noise = np.random.default_rng(seed).integers(0, 255, (40, 50)).astype(np.uint8)
        frame = encode(Display("kitty"), Image.fromarray(noise))
        assert isinstance(frame, KittyFrame)
        frame.mark_shown()
        made.append(frame)
    return made


def cache_for(made: list[KittyFrame], count: int) -> FrameCache:
    return FrameCache(limit=int(sum(frame.memory_bytes for frame in made[:count]) * 1.05))


def test_the_least_recently_used_frames_are_freed() -> None:
    made = frames(4)
    cache = cache_for(made, 3)
    for number, frame in enumerate(made[:3]):
        cache.put(number, frame)
    assert cache.get(0) is made[0]
    cache.put(3, made[3])
    assert cache.get(1) is None
    assert cache.get(0) is made[0]
    freed = cache.take_dropped()
    assert freed == made[1].forget() != ""
    assert "a=d" not in freed, "Kitty 0.26 frees all images that are not on the screen when it deletes one"
    assert cache.take_dropped() == ""


def test_the_weight_counts_what_the_terminal_keeps() -> None:
    (frame,) = frames(1)
    assert frame.memory_bytes >= 4 * 40 * 50


def test_a_frame_on_the_screen_is_kept_however_old() -> None:
    made = frames(5)
    cache = cache_for(made, 2)
    cache.put(0, made[0])
    cache.pin(made[0])
    for number, frame in enumerate(made[1:], 1):
        cache.put(number, frame)
    assert cache.get(0) is made[0]
    assert made[0].forget() not in cache.take_dropped()
    cache.unpin(made[0])
    cache.put(9, frames(6)[5])
    cache.put(10, frames(7)[6])
    assert cache.get(0) is None


def test_released_images_are_freed_in_the_terminal_once_and_kept_here() -> None:
    made = frames(2)
    cache = cache_for(made, 2)
    for number, frame in enumerate(made):
        cache.put(number, frame)
        frame.mark_shown()
    freed = cache.release()
    assert all(f"a=d,d=I,i={frame.id}," in freed for frame in made)
    assert cache.release() == ""
    assert cache.get(0) is made[0]
    assert not made[0].sent


def test_after_another_program_had_the_terminal_everything_is_sent_anew() -> None:
    made = frames(2)
    cache = cache_for(made, 2)
    for number, frame in enumerate(made):
        cache.put(number, frame)
    cache.mark_lost()
    assert not any(frame.sent for frame in made)
    assert cache.release() == ""
