// Functions of sixteen floats. Included after one of lanes_*.h.
#pragma once

namespace musicgen {
namespace {

// e^x for x <= 88, within 3e-8 of itself; 0 below -87. Polynomial interpolated on [-ln 2 / 2, ln 2 / 2].
inline Lanes::Floats exponential(Lanes::Floats x) {
  const Lanes::Floats low = Lanes::set(-87.0f);
  // adding 1.5 * 2^23 rounds to a whole number, and leaves it in the low bits
  const Lanes::Floats shift = Lanes::set(12582912.0f);
  const Lanes::Floats clamped = Lanes::max(x, low);
  const Lanes::Floats shifted = Lanes::fma(clamped, Lanes::set(1.44269504f), shift);
  const Lanes::Floats whole = Lanes::sub(shifted, shift);
  Lanes::Floats rest = Lanes::fma(whole, Lanes::set(-0.693359375f), clamped);  // ln 2 in two parts
  rest = Lanes::fma(whole, Lanes::set(2.12194440e-4f), rest);
  Lanes::Floats y = Lanes::set(1.3941213e-3f);
  y = Lanes::fma(y, rest, Lanes::set(8.3752098e-3f));
  y = Lanes::fma(y, rest, Lanes::set(4.1666351e-2f));
  y = Lanes::fma(y, rest, Lanes::set(1.6666414e-1f));
  y = Lanes::fma(y, rest, Lanes::set(0.5f));
  y = Lanes::fma(y, rest, Lanes::set(1.0f));
  y = Lanes::fma(y, rest, Lanes::set(1.0f));
  return Lanes::from_bits(Lanes::add(Lanes::bits(y), Lanes::to_exponent(Lanes::bits(shifted))));
}

// x/2 (1 + erf(x / sqrt 2)), the exact GELU, within 5e-8.
//
// With u = |x| it is max(x, 0) - u/2 erfc(u / sqrt 2), and erfc(u / sqrt 2) = e^(-u r(u)) with a smooth r: the
// polynomial is fitted to r on [0, 9], weighted by the effect of an error on the result. Beyond 9, erfc is zero.
inline Lanes::Floats gelu(Lanes::Floats x) {
  const Lanes::Floats size = Lanes::abs(x);
  const Lanes::Floats u = Lanes::min(size, Lanes::set(9.0f));
  Lanes::Floats r = Lanes::set(-2.5837883e-9f);
  r = Lanes::fma(r, u, Lanes::set(9.0916664e-8f));
  r = Lanes::fma(r, u, Lanes::set(-1.4066074e-6f));
  r = Lanes::fma(r, u, Lanes::set(1.2648065e-5f));
  r = Lanes::fma(r, u, Lanes::set(-7.1641567e-5f));
  r = Lanes::fma(r, u, Lanes::set(2.3580711e-4f));
  r = Lanes::fma(r, u, Lanes::set(-5.6718829e-5f));
  r = Lanes::fma(r, u, Lanes::set(-4.7714096e-3f));
  r = Lanes::fma(r, u, Lanes::set(3.6332075e-2f));
  r = Lanes::fma(r, u, Lanes::set(3.1831050e-1f));
  r = Lanes::fma(r, u, Lanes::set(7.9788452e-1f));
  const Lanes::Floats erfc = exponential(Lanes::mul(Lanes::mul(u, r), Lanes::set(-1.0f)));
  return Lanes::fma(Lanes::mul(size, Lanes::set(-0.5f)), erfc, Lanes::max(x, Lanes::zero()));
}

// What a half can hold; a NaN becomes one of the ends.
inline Lanes::Floats within_half(Lanes::Floats x) {
  return Lanes::max(Lanes::min(x, Lanes::set(65504.0f)), Lanes::set(-65504.0f));
}

inline int smaller(int a, int b) { return a < b ? a : b; }
inline int groups(int inputs, int group) { return (inputs + group - 1) / group; }

}  // namespace
}  // namespace musicgen
