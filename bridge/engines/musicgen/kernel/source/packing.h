// Where weights lie in memory and on disk, and how they come there.
#pragma once
#include "arena.h"
#include "model.h"

namespace musicgen {

class Threads;

// Sets every pointer of `weights` (whose shape and precision are set); with null as the beginning it only counts.
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

// Does a tensor belong to cross-attention, which not every model has?
bool is_cross(Tensor tensor);

// Puts one tensor (float32, as DecoderWeights has it) into its place. `layer` is 0 for those that have none.
void pack(Weights& weights, Tensor tensor, int layer, const float* values, Threads& threads);

}  // namespace musicgen
