"""The building blocks against plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter, resample_poly

from bridge.engines.procedural.dsp.envelopes import cycles, decay, gated, slowly
from bridge.engines.procedural.dsp.filters import sweep
from bridge.engines.procedural.dsp.modes import modes
from bridge.engines.procedural.dsp.noise import band, burst, circular, circular_each
from bridge.engines.procedural.dsp.oscillators import pulse, saw
from bridge.engines.procedural.dsp.periodic import ensemble, rolled
from bridge.engines.procedural.dsp.resampling import lowered, raised
from bridge.engines.procedural.dsp.signal import RATE, place, times
from bridge.engines.procedural.dsp.space import impulse_response, reverb
from bridge.engines.procedural.instrument import Knobs, Note
from bridge.engines.procedural.plucked import string


def test_what_is_placed_past_the_end_comes_in_at_the_beginning() -> None:
    bus = np.zeros((2, 8))
    place(bus, np.arange(1.0, 13.0), 5)
    np.testing.assert_array_equal(bus[0], [4 + 12, 5, 6, 7, 8, 1 + 9, 2 + 10, 3 + 11])
    np.testing.assert_array_equal(bus[0], bus[1])


def test_modes_are_the_sum_of_decaying_sines() -> None:
    pitches, decays, gains = np.array([110.0, 440.0, 2500.0]), np.array([0.4, 0.2, 0.05]), np.array([1.0, 0.5, 0.3])
    t = times(10_000)
    plain = sum(
        g * np.exp(-t / d) * np.sin(2 * np.pi * f * t + 0.3) for f, d, g in zip(pitches, decays, gains, strict=True)
    )
    np.testing.assert_allclose(modes(pitches, decays, gains, 10_000, 0.3), plain, atol=2e-4)


def test_modes_for_two_ears_have_two_channels() -> None:
    both = modes([200.0, 300.0], 0.1, [[1.0, 0.0], [0.0, 1.0]], 5000)
    np.testing.assert_allclose(both[0], modes([200.0], 0.1, [1.0], 5000), atol=1e-4)
    np.testing.assert_allclose(both[1], modes([300.0], 0.1, [1.0], 5000), atol=1e-4)


@pytest.mark.parametrize("pitch", [1245.3, 2637.0])
def test_oscillators_alias_less_than_naive_ones(pitch: float) -> None:
    def between(y: np.ndarray) -> float:
        """Energy that is not at a harmonic, dB."""
        power = np.abs(np.fft.rfft(y * np.blackman(len(y)))) ** 2
        hertz = np.fft.rfftfreq(len(y), 1 / RATE)
        off = np.abs(hertz / pitch - np.round(hertz / pitch)) * pitch > 30
        return float(10 * np.log10(power[off & (hertz < 10_000)].sum() / power.sum()))

    naive = 2 * ((np.arange(RATE) * pitch / RATE) % 1) - 1
    assert between(saw(pitch, RATE)) < between(naive) - 15
    assert abs(float(pulse(pitch, RATE, 0.3).mean())) < 1e-3


@pytest.mark.parametrize("pitch", [55.0, 196.0, 659.3])
def test_a_string_is_in_tune(pitch: float) -> None:
    note = Note(pitch, 1.0, 0.8, Knobs(), np.random.default_rng(1))
    y = string(note, RATE, 5.0, 0.5, 0.2, 3000.0)[4000:]
    spectrum = np.abs(np.fft.rfft(y * np.hanning(len(y)), 1 << 20))
    low, high = (int(pitch * factor * (1 << 20) / RATE) for factor in (0.95, 1.05))
    found = (low + int(np.argmax(spectrum[low:high]))) * RATE / (1 << 20)
    assert abs(1200 * np.log2(found / pitch)) < 3


def test_a_looped_room_is_the_room_of_an_endless_loop() -> None:
    x = np.random.default_rng(1).standard_normal(9000)
    endless = reverb(np.tile(x, 12), 0.5, 0.9)
    np.testing.assert_allclose(reverb(x, 0.5, 0.9, loop=True), endless[:, 9000 * 8 : 9000 * 9], atol=1e-5)


def test_a_room_is_not_the_same_for_both_ears_and_sums_to_mono() -> None:
    left, right = impulse_response(1.5, 0.5, 0.01)
    assert 0.2 < float(np.dot(left, right)) < 0.9


def test_an_ensemble_turns_whole_times() -> None:
    y = ensemble(np.random.default_rng(1), [220.0], RATE, rolled(2000.0))
    steps = np.abs(np.diff(np.concatenate([y, y], axis=1)))
    assert steps[:, RATE - 1].max() <= steps[:, : RATE - 1].max()


@pytest.mark.parametrize("count", [1, 2, 10, 4410])
def test_envelopes_are_their_formulas(count: int) -> None:
    t = times(count)
    np.testing.assert_allclose(decay(count, 0.013), np.exp(-t / 0.013), rtol=1e-9)
    np.testing.assert_allclose(cycles(count, 3, 0.2), np.sin(2 * np.pi * (3 * t * RATE / count + 0.2)), atol=1e-9)
    body = 0.4 + 0.6 * np.exp(-np.maximum(t - 0.01, 0) / 0.05)
    plain = np.minimum(1, body * np.exp(-3 * np.maximum(t - 0.04, 0) / 0.03))
    rise = t < 0.01
    np.testing.assert_allclose(gated(count, 0.01, 0.05, 0.4, 0.03, 0.04)[~rise], plain[~rise], rtol=1e-6)


@pytest.mark.parametrize("shape", [(1000,), (2, 1000), (2, 64), (33,)])
def test_a_moving_filter_is_one_biquad_after_the_other(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).standard_normal(shape)
    y, state = np.empty(shape), np.zeros((*shape[:-1], 2))
    edges = np.geomspace(100.0, 9000.0, shape[-1])
    for start in range(0, shape[-1], 64):
        w = 2 * np.pi * edges[start] / RATE
        alpha, cos = np.sin(w) / 1.6, np.cos(w)
        piece = slice(start, start + 64)
        b = np.array([(1 - cos) / 2, 1 - cos, (1 - cos) / 2]) / (1 + alpha)
        y[..., piece], state = lfilter(
            b, [1, -2 * cos / (1 + alpha), (1 - alpha) / (1 + alpha)], x[..., piece], zi=state
        )
    np.testing.assert_allclose(sweep(x, edges, 0.8), y, atol=1e-9)


def test_a_burst_is_its_noise_while_it_is_heard() -> None:
    plain = band(np.random.default_rng(5), 9000, 300.0, 4000.0) * np.exp(-times(9000) / 0.004)
    np.testing.assert_allclose(burst(np.random.default_rng(5), 9000, 300.0, 4000.0, 0.004), plain, atol=1e-9)


@pytest.mark.parametrize("edge", [0.5, 200.0])  # summed, transformed
def test_looping_noise_has_unit_variance_no_mean_and_no_seam(edge: float) -> None:
    def shape(hertz: np.ndarray) -> np.ndarray:
        return np.asarray(1 / (1 + (hertz / edge) ** 6))

    one = circular(np.random.default_rng(3), 6 * RATE, shape)
    assert one.std() == pytest.approx(1.0, abs=1e-3)
    assert abs(one.mean()) < 1e-4
    steps = np.abs(np.diff(np.concatenate([one, one])))
    assert steps[6 * RATE - 1] <= steps[: 6 * RATE - 1].max()
    both = circular_each(np.random.default_rng(3), 6 * RATE, shape, 2)
    np.testing.assert_allclose(both[0], one, atol=1e-5)
    assert abs(float(np.corrcoef(both)[0, 1])) < 0.9


@pytest.mark.parametrize("ratio", [2, 4])
@pytest.mark.parametrize("shape", [(1,), (63,), (1000,), (2, 5001)])
def test_a_signal_at_a_multiple_of_its_rate_is_what_a_polyphase_filter_makes(
    ratio: int, shape: tuple[int, ...]
) -> None:
    signal = np.random.default_rng(3).standard_normal(shape)
    high = raised(signal, ratio)
    expected = resample_poly(signal, ratio, 1, axis=-1)
    assert np.abs(high - expected).max() < 5e-6
    assert np.abs(lowered(high, ratio) - resample_poly(expected, 1, ratio, axis=-1)).max() < 5e-6


def test_a_slow_curve_is_the_curve() -> None:
    count = 44_123
    exact = np.sin(2 * np.pi * 6 * np.arange(count) / RATE)
    curve = slowly(count, lambda seconds: np.sin(2 * np.pi * 6 * seconds))
    assert curve.shape == exact.shape
    assert np.abs(curve - exact).max() < 1e-4
