// The layout of weights in memory and on disk, and how tensors are packed into it.
#pragma once
#include "arena.h"
#include "model.h"

namespace musicgen {

class Threads;

// Sets every pointer of `weights` (whose shape and precision are set); with `begin` null it only counts bytes.
// Returns the bytes needed. `layers` has shape.layers elements.
size_t lay_out(Weights& weights, Layer* layers, uint8_t* begin);

// Tensors by the names that DecoderWeights gives them, in this order.
enum Tensor : int32_t {
  kEmbed,
  kNormWeight,
  kNormBias,
  kHeads,
  kSelfNormWeight,
  kSelfNormBias,
  kCrossNormWeight,
  kCrossNormBias,
  kFfnNormWeight,
  kFfnNormBias,
  kQkv,
  kSelfOut,
  kCrossQ,
  kCrossK,
  kCrossV,
  kCrossOut,
  kFc1,
  kFc2,
  kTensors
};

// Does a tensor belong to the cross-attention? Not every model has one.
bool is_cross(Tensor tensor);

// Packs one tensor (float32, as DecoderWeights has it). `layer` is 0 for a tensor outside the layers.
void pack(Weights& weights, Tensor tensor, int layer, const float* values, Threads& threads);

}  // namespace musicgen
