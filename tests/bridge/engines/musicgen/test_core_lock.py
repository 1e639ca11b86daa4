"""Who computes when several want all cores."""

from __future__ import annotations

import threading

import pytest

from bridge.engines.musicgen.core_lock import CoreLock


def test_a_turn_goes_to_whoever_waited_longest_even_from_one_that_wants_it_again_at_once() -> None:
    lock, order = CoreLock(), []
    waiting = threading.Barrier(2)

    def wait(name: str) -> None:
        waiting.wait()
        with lock:
            order.append(name)

    threads = []
    with lock:
        for name in ("codec", "text"):
            threads.append(threading.Thread(target=wait, args=(name,)))
            threads[-1].start()
            waiting.wait()
            while len(lock._waiting) < len(threads):
                pass
    with lock:  # without a pause, as a decoder does from step to step
        order.append("decoder")
    for thread in threads:
        thread.join()
    assert order == ["codec", "text", "decoder"]


def test_one_at_a_time_and_nobody_is_forgotten() -> None:
    lock, inside, most, done = CoreLock(), 0, 0, 0

    def work() -> None:
        nonlocal inside, most, done
        for _ in range(2000):
            with lock:
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
    lock = CoreLock()
    with pytest.raises(ZeroDivisionError), lock:
        _ = 1 / 0
    with lock:
        pass


def test_it_is_known_how_many_wait() -> None:
    lock = CoreLock()
    threads = [threading.Thread(target=lambda: lock.__enter__()) for _ in range(2)]
    with lock:
        assert lock.wanted[0] == 0
        for count, thread in enumerate(threads, 1):
            thread.start()
            while lock.wanted[0] < count:
                pass
    assert lock.wanted[0] == 1  # one of them has it now
    lock.__exit__(None, None, None)
    assert lock.wanted[0] == 0
    lock.__exit__(None, None, None)
    for thread in threads:
        thread.join()


def test_who_gives_way_waits_for_one_that_is_about_to_come_and_no_longer_than_it_said() -> None:
    lock, order = CoreLock(), []
    asked = threading.Event()

    def come() -> None:
        asked.wait()
        with lock:
            order.append("codec")

    thread = threading.Thread(target=come)
    thread.start()
    threading.Timer(0.2, asked.set).start()  # while the lock is given away, or it would wait for nobody
    lock.give_way(60.0)
    with lock:
        order.append("decoder")
    thread.join()
    assert order == ["codec", "decoder"]
    lock.give_way(0.001)  # no thread asks
