"""Who computes when several want all cores."""

from __future__ import annotations

import threading

import pytest

from bridge.engines.musicgen.turns import Turns


def test_a_turn_goes_to_whoever_waited_longest_even_from_one_that_wants_it_again_at_once() -> None:
    turns, order = Turns(), []
    waiting = threading.Barrier(2)

    def wait(name: str) -> None:
        waiting.wait()
        with turns:
            order.append(name)

    threads = []
    with turns:
        for name in ("codec", "text"):
            threads.append(threading.Thread(target=wait, args=(name,)))
            threads[-1].start()
            waiting.wait()
            while len(turns._waiting) < len(threads):
                pass
    with turns:  # without a pause, as a decoder does from step to step
        order.append("decoder")
    for thread in threads:
        thread.join()
    assert order == ["codec", "text", "decoder"]


def test_one_at_a_time_and_nobody_is_forgotten() -> None:
    turns, inside, most, done = Turns(), 0, 0, 0

    def work() -> None:
        nonlocal inside, most, done
        for _ in range(2000):
            with turns:
                inside += 1
                most = max(most, inside)
                done += 1
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done) == (1, 8000)


def test_an_error_ends_the_turn() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns:
        _ = 1 / 0
    with turns:
        pass
