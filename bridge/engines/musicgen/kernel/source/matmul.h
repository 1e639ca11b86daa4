// Matrix times prepared rows, one tile of 32 outputs at a time.
#pragma once
#include "formats.h"

namespace musicgen {
namespace {

// Some rows from `row` on, with one group of weights.
template <class Format, int Rows, bool Fetch>
inline void multiply_rows(const uint8_t* weights, Inputs inputs, int group, int row, int rows, int count, float* sums,
                          int stride) {
  const uint8_t* bytes = inputs.bytes + (static_cast<size_t>(group) * rows + row) * kGroupBytes;
  const float* scales = inputs.scales + group * kPassRows + row;
  const int32_t* input_sums = inputs.sums + group * kPassRows + row;
  sums += row * stride;
  for (int block = 0; block < 2; block += Lanes::kBlocks)
    Format::template multiply<Rows, Lanes::kBlocks, Fetch>(weights + block * 64, bytes, scales, input_sums, count,
                                                           sums + block * kLanes, stride);
}

template <class Format, bool Fetch>
inline int multiply_most(const uint8_t* weights, Inputs inputs, int group, int row, int rows, int count, float* sums,
                          int stride) {
  const int left = rows - row;
  if constexpr (Lanes::kRowsAtOnce >= 8)
    if (left >= 8) return multiply_rows<Format, 8, Fetch>(weights, inputs, group, row, rows, count, sums, stride), 8;
  if constexpr (Lanes::kRowsAtOnce >= 4)
    if (left >= 4) return multiply_rows<Format, 4, Fetch>(weights, inputs, group, row, rows, count, sums, stride), 4;
  if (left >= 2) return multiply_rows<Format, 2, Fetch>(weights, inputs, group, row, rows, count, sums, stride), 2;
  return multiply_rows<Format, 1, Fetch>(weights, inputs, group, row, rows, count, sums, stride), 1;
}

// sums[row * stride + 0..31] = one tile of the matrix times each row. The weights of a group, 8 kB, stay in the nearest cache while
// the rows pass by.
template <class Format>
inline void multiply_tile(const Matrix& matrix, int tile, Inputs inputs, int rows, float* sums,
                          int stride) {
  const uint8_t* weights = matrix.tiles + static_cast<size_t>(tile) * matrix.tile_bytes;
  for (int row = 0; row < rows; ++row)
    for (int i = 0; i < kTile; i += kLanes) Lanes::store(sums + row * stride + i, Lanes::zero());
  for (int group = 0; group * Format::kInputs < matrix.inputs; ++group) {
    const int count = smaller(Format::kInputs, matrix.inputs - group * Format::kInputs);
    int row = multiply_most<Format, true>(weights, inputs, group, 0, rows, count, sums, stride);
    while (row < rows) row += multiply_most<Format, false>(weights, inputs, group, row, rows, count, sums, stride);
    weights += Format::kGroupSize(count);
  }
  if constexpr (Format::kScaled)
    for (int row = 0; row < rows; ++row)
      for (int i = 0; i < kTile; i += kLanes) {
        float* sum = sums + row * stride + i;
        Lanes::store(sum, Lanes::mul(Lanes::load(sum), Lanes::load(matrix.scales + tile * kTile + i)));
      }
}

}  // namespace
}  // namespace musicgen
