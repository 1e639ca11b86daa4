// Matrix times prepared rows, one tile of 32 outputs at a time.
#pragma once
#include "formats.h"

namespace musicgen {
namespace {

// Multiplies some rows from `row` on with one group of weights; `ahead` is where prefetching begins.
template <class Format, int Rows, Fetch Of>
inline int multiply_rows(const uint8_t* weights, Inputs inputs, int group, int row, int rows, int count, float* sums,
                         int stride, const uint8_t* ahead) {
  const uint8_t* bytes = inputs.bytes + (static_cast<size_t>(group) * rows + row) * kGroupBytes;
  const float* scales = inputs.scales + group * kPassRows + row;
  const int32_t* input_sums = inputs.sums + group * kPassRows + row;
  sums += row * stride;
  Format::template multiply<Rows, Lanes::kBlocks, Of>(weights, bytes, scales, input_sums, count, sums, stride, ahead);
  if constexpr (Lanes::kBlocks == 1)
    Format::template multiply<Rows, 1, kNothing>(weights + 64, bytes, scales, input_sums, count, sums + kLanes, stride,
                                                 ahead);
  return Rows;
}

// Multiplies as many rows as fit into the registers; returns how many.
template <class Format, Fetch Of>
inline int multiply_most(const uint8_t* weights, Inputs inputs, int group, int row, int rows, int count, float* sums,
                         int stride, const uint8_t* ahead) {
  const int left = rows - row;
  if constexpr (Lanes::kRowsAtOnce >= 8)
    if (left >= 8) return multiply_rows<Format, 8, Of>(weights, inputs, group, row, rows, count, sums, stride, ahead);
  if constexpr (Lanes::kRowsAtOnce >= 4)
    if (left >= 4) return multiply_rows<Format, 4, Of>(weights, inputs, group, row, rows, count, sums, stride, ahead);
  if (left >= 2) return multiply_rows<Format, 2, Of>(weights, inputs, group, row, rows, count, sums, stride, ahead);
  return multiply_rows<Format, 1, Of>(weights, inputs, group, row, rows, count, sums, stride, ahead);
}

// sums[row * stride + 0..31] = one tile of the matrix times each row. The weights of a group, 8 kB, stay in the
// first-level cache while all rows are multiplied with them.
template <class Format>
inline void multiply_tile(const Matrix& matrix, int tile, Inputs inputs, int rows, float* sums, int stride) {
  const uint8_t* weights = matrix.tiles + static_cast<size_t>(tile) * matrix.tile_bytes;
  for (int row = 0; row < rows; ++row)
    for (int i = 0; i < kTile; i += kLanes) Lanes::store(sums + row * stride + i, Lanes::zero());
  for (int group = 0; group * Format::kInputs < matrix.inputs; ++group) {
    const int count = smaller(Format::kInputs, matrix.inputs - group * Format::kInputs);
    const uint8_t* ahead = weights;
    int row;
    if (rows <= 2) {
      ahead += kAheadOfPair;
      row = multiply_most<Format, kOfPair>(weights, inputs, group, 0, rows, count, sums, stride, ahead);
    } else if (rows <= Lanes::kRowsAtOnce) {
      ahead += kAheadOfFew;
      row = multiply_most<Format, kOfFew>(weights, inputs, group, 0, rows, count, sums, stride, ahead);
    } else {
      ahead += kAheadOfMany;
      // half of the group is prefetched while each of the first two batches of rows is multiplied
      row = multiply_most<Format, kOfMany>(weights, inputs, group, 0, rows, count, sums, stride, ahead);
      ahead += Format::kGroupSize(count) / 2;
      row += multiply_most<Format, kOfMany>(weights, inputs, group, row, rows, count, sums, stride, ahead);
    }
    while (row < rows)
      row += multiply_most<Format, kNothing>(weights, inputs, group, row, rows, count, sums, stride, ahead);
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
