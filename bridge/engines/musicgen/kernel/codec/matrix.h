// Matrices packed for the one multiplication that all layers of the codec use.
//
// A convolution over rows of channels that are stored one after another is a product with *overlapping* rows: the K
// inputs of output row t are the K numbers from t * step on. So is a transposed convolution whose kernel is twice its
// stride: inputs t - 1 and t give `stride` output rows at once. No layer has to copy its inputs.
#pragma once

#include <vector>

#include "vector.h"

namespace codec {

// Weights (columns, depth) and a bias, packed in panels of kPanel vectors of columns; a tile of sums is as wide as a
// panel.
template <class T, int kPanel>
class Matrix {
 public:
  static constexpr int kWidth = kPanel * kLanes;   // columns of a panel
  static constexpr int kTallest = kSums / kPanel;  // rows of a tile
  static constexpr int kGroup = Number<T>::kGroup;

  // weights: (columns, depth) in rows. depth is a multiple of kGroup.
  void pack(int columns, int depth, const float* weights, const float* bias) {
    columns_ = columns;
    depth_ = depth;
    packed_.assign(static_cast<std::size_t>(panels()) * depth * kWidth, T{});
    bias_.assign(static_cast<std::size_t>(panels()) * kWidth, 0.f);
    for (int column = 0; column < columns; ++column) {
      T* panel = packed_.data() + static_cast<std::size_t>(column / kWidth) * depth * kWidth;
      for (int k = 0; k < depth; ++k)
        panel[(k / kGroup * kWidth + column % kWidth) * kGroup + k % kGroup] =
            Number<T>::from(weights[static_cast<std::size_t>(column) * depth + k]);
      if (bias) bias_[column] = bias[column];
    }
  }

  int columns() const { return columns_; }
  int depth() const { return depth_; }
  int panels() const { return (columns_ + kWidth - 1) / kWidth; }
  const float* bias(int panel) const { return bias_.data() + static_cast<std::size_t>(panel) * kWidth; }

  // tile (rows, kWidth) = inputs times one panel, without the bias. rows: 1..kTallest. Row t begins at inputs + t *
  // step.
  void multiply(const T* inputs, long step, int rows, int panel, float* tile) const {
    const T* weights = packed_.data() + static_cast<std::size_t>(panel) * depth_ * kWidth;
    kTiles.of_rows[rows - 1](inputs, step, weights, depth_ / kGroup, tile);
  }

 private:
  using Tile = void (*)(const T*, long, const T*, int, float*);

  template <int kRows>
  static void multiply_rows(const T* inputs, long step, const T* weights, int groups, float* tile) {
    Vector sums[kRows][kPanel] = {};
    for (int k = 0; k < groups; ++k, weights += kWidth * kGroup) {
#pragma GCC unroll 24
      for (int row = 0; row < kRows; ++row) {
        const Vector input = Number<T>::repeat(inputs + row * step + k * kGroup);
#pragma GCC unroll 4
        for (int i = 0; i < kPanel; ++i)
          sums[row][i] = Number<T>::multiply_add(input, weights + i * kLanes * kGroup, sums[row][i]);
      }
    }
#pragma GCC unroll 24
    for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 4
      for (int i = 0; i < kPanel; ++i) store(tile + row * kWidth + i * kLanes, sums[row][i]);
  }

  struct Tiles {
    Tile of_rows[kTallest];
    template <int kRows>
    constexpr void fill() {
      of_rows[kRows - 1] = multiply_rows<kRows>;
      if constexpr (kRows > 1) fill<kRows - 1>();
    }
    constexpr Tiles() : of_rows{} { fill<kTallest>(); }
  };
  static constexpr Tiles kTiles{};

  int columns_ = 0, depth_ = 0;
  std::vector<T> packed_;
  std::vector<float> bias_;
};

}  // namespace codec
