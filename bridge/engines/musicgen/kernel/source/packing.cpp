#include "packing.h"

#include <cmath>
#include <cstring>

#include "threads.h"

namespace musicgen {
namespace {

constexpr size_t kPage = 4096;
constexpr int kInt4Group = 64;

int round_up(int x, int to) { return (x + to - 1) / to * to; }

// formats.h describes the content of a tile.
size_t tile_bytes(int precision, int inputs) {
  const size_t k = static_cast<size_t>(inputs);
  switch (precision) {
    case kFloat32: return k * kTile * 4;
    case kBfloat16: return k * kTile * 2;
    case kInt8: return k * kTile;
    default: {
      const size_t groups = static_cast<size_t>(round_up(inputs, kInt4Group) / kInt4Group);
      return k * kTile / 2 + groups * kTile * sizeof(float);
    }
  }
}

Matrix allocate_matrix(Parts& parts, int precision, int outputs, int inputs) {
  Matrix matrix{};
  matrix.outputs = round_up(outputs, kTile);
  matrix.inputs = inputs;
  matrix.tile_bytes = tile_bytes(precision, inputs);
  matrix.tiles = parts.allocate<uint8_t>(static_cast<size_t>(matrix.outputs / kTile) * matrix.tile_bytes, kPage);
  if (precision == kInt8) matrix.scales = parts.allocate<float>(static_cast<size_t>(matrix.outputs));
  return matrix;
}

// A matrix with `parts` times `weights.head` outputs per head, padded to whole tiles.
Matrix allocate_heads(Parts& memory, const Weights& weights, int parts) {
  const int wide = round_up(parts * weights.head, kTile);
  return allocate_matrix(memory, weights.precision, weights.shape.heads * wide, weights.shape.hidden);
}

Norm allocate_norm(Parts& parts, int hidden) {
  const size_t count = static_cast<size_t>(hidden);
  float* weight = parts.allocate<float>(count);
  return {weight, parts.allocate<float>(count)};
}

uint16_t bfloat16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

int clamp(int x, int low, int high) { return x < low ? low : x > high ? high : x; }

// The scale with which 64 weights, rounded to -8..7, have the least squared error. The candidates map the largest
// weight to -8 or somewhat beyond it, where it is clipped.
float best_scale(const float* values, int count) {
  float largest = 0;
  for (int k = 0; k < count; ++k)
    if (std::fabs(values[k]) > std::fabs(largest)) largest = values[k];
  if (largest == 0) return 0;
  float best = 0, least = INFINITY;
  for (int i = 0; i < 12; ++i) {
    const float scale = largest / -8.0f * (1.0f - 0.03f * static_cast<float>(i));
    const float inverse = 1.0f / scale;
    float error = 0;
    for (int k = 0; k < count; ++k) {
      float whole = std::nearbyint(values[k] * inverse);
      whole = whole < -8.0f ? -8.0f : whole > 7.0f ? 7.0f : whole;
      const float off = values[k] - whole * scale;
      error += off * off;
    }
    if (error < least) {
      least = error;
      best = scale;
    }
  }
  return best;
}

void pack_int4(uint8_t* tile, int lane, const float* values, int inputs) {
  for (int begin = 0; begin < inputs; begin += kInt4Group) {
    const int count = inputs - begin < kInt4Group ? inputs - begin : kInt4Group;
    const float scale = best_scale(values + begin, count);
    const float inverse = scale == 0 ? 0 : 1.0f / scale;
    reinterpret_cast<float*>(tile)[lane] = scale;
    tile += kTile * sizeof(float);
    for (int k = 0; k < count; ++k) {
      const int whole = clamp(static_cast<int>(std::lrintf(values[begin + k] * inverse)), -8, 7) + 8;
      uint8_t& byte = tile[(k / 8 * kTile + lane) * 4 + k % 4];
      byte = static_cast<uint8_t>(k % 8 < 4 ? (byte & 0xf0) | whole : (byte & 0x0f) | whole << 4);
    }
    tile += count / 8 * kTile * 4;
  }
}

// One output's weights into its lane of a tile.
void pack_output(const Matrix& matrix, int precision, int output, const float* values) {
  uint8_t* tile = matrix.tiles + static_cast<size_t>(output / kTile) * matrix.tile_bytes;
  const int lane = output % kTile, inputs = matrix.inputs;
  switch (precision) {
    case kFloat32:
      for (int k = 0; k < inputs; ++k) reinterpret_cast<float*>(tile)[k * kTile + lane] = values[k];
      return;
    case kBfloat16:
      for (int k = 0; k < inputs; ++k)
        reinterpret_cast<uint16_t*>(tile)[(k / 2 * kTile + lane) * 2 + k % 2] = bfloat16(values[k]);
      return;
    case kInt8: {
      float largest = 0;
      for (int k = 0; k < inputs; ++k) largest = std::fmax(largest, std::fabs(values[k]));
      const float inverse = largest > 0 ? 127.0f / largest : 0;
      matrix.scales[output] = largest / 127.0f;
      for (int k = 0; k < inputs; ++k) {
        const int whole = clamp(static_cast<int>(std::lrintf(values[k] * inverse)), -127, 127);
        tile[(k / 4 * kTile + lane) * 4 + k % 4] = static_cast<uint8_t>(whole + 128);
      }
      return;
    }
    default: pack_int4(tile, lane, values, inputs);
  }
}

// Rows of a tensor and their destination: a part of the head that the row belongs to, or simply the row's number.
struct Packing {
  const Matrix* matrix;
  const float* values;
  int precision, rows, head, first_part, wide;  // head = 0: not sorted by head
  int hidden;
};

void pack_share(void* context, int thread, int threads) {
  const Packing& job = *static_cast<const Packing*>(context);
  const int begin = static_cast<int>(static_cast<int64_t>(job.rows) * thread / threads);
  const int end = static_cast<int>(static_cast<int64_t>(job.rows) * (thread + 1) / threads);
  for (int row = begin; row < end; ++row) {
    int output = row;
    if (job.head > 0) {
      const int part = job.first_part + row / job.hidden, of_hidden = row % job.hidden;
      output = of_hidden / job.head * job.wide + part * job.head + of_hidden % job.head;
    }
    pack_output(*job.matrix, job.precision, output, job.values + static_cast<size_t>(row) * job.matrix->inputs);
  }
}

void pack_rows(Packing job, Threads& threads) {
  struct Context {
    Packing* job;
    int threads;
  } context{&job, threads.count()};
  threads.run(
      [](void* given, int thread) {
        const Context& both = *static_cast<Context*>(given);
        pack_share(both.job, thread, both.threads);
      },
      &context);
}

}  // namespace

size_t lay_out(Weights& weights, Layer* layers, uint8_t* begin) {
  const Shape& shape = weights.shape;
  Parts parts(begin);
  weights.head = shape.hidden / shape.heads;
  weights.padded_head = kLanes;
  while (weights.padded_head < weights.head) weights.padded_head *= 2;
  weights.layers = layers;
  weights.norm = allocate_norm(parts, shape.hidden);
  weights.embed = parts.allocate<float>(static_cast<size_t>(shape.codebooks) *
                                        static_cast<size_t>(shape.vocabulary + 1) * static_cast<size_t>(shape.hidden));
  for (int i = 0; i < shape.layers; ++i) {
    Layer& layer = layers[i];
    layer.self_norm = allocate_norm(parts, shape.hidden);
    layer.qkv = allocate_heads(parts, weights, 3);
    layer.self_out = allocate_matrix(parts, weights.precision, shape.hidden, shape.hidden);
    if (shape.cross) {
      layer.cross_norm = allocate_norm(parts, shape.hidden);
      layer.cross_q = allocate_heads(parts, weights, 1);
      layer.cross_out = allocate_matrix(parts, weights.precision, shape.hidden, shape.hidden);
    }
    layer.ffn_norm = allocate_norm(parts, shape.hidden);
    layer.fc1 = allocate_matrix(parts, weights.precision, shape.ffn, shape.hidden);
    layer.fc2 = allocate_matrix(parts, weights.precision, shape.hidden, shape.ffn);
  }
  weights.heads = allocate_matrix(parts, weights.precision, shape.codebooks * shape.vocabulary, shape.hidden);
  if (shape.cross)
    for (int i = 0; i < shape.layers; ++i) layers[i].cross_kv = allocate_heads(parts, weights, 2);
  return parts.used();
}

bool is_cross(Tensor tensor) {
  switch (tensor) {
    case kCrossNormWeight:
    case kCrossNormBias:
    case kCrossQ:
    case kCrossK:
    case kCrossV:
    case kCrossOut: return true;
    default: return false;
  }
}

void pack(Weights& weights, Tensor tensor, int layer_number, const float* values, Threads& threads) {
  const Shape& shape = weights.shape;
  const Layer& layer = weights.layers[layer_number];
  const size_t hidden = static_cast<size_t>(shape.hidden);
  const auto copy = [&](float* to, size_t count) { std::memcpy(to, values, count * sizeof(float)); };
  const auto rows = [&](const Matrix& matrix, int count) {
    pack_rows({&matrix, values, weights.precision, count, 0, 0, 0, 0}, threads);
  };
  const auto heads = [&](const Matrix& matrix, int first_part, int parts) {
    const int wide = matrix.outputs / shape.heads;
    pack_rows({&matrix, values, weights.precision, parts * shape.hidden, weights.head, first_part, wide, shape.hidden},
              threads);
  };
  switch (tensor) {
    case kEmbed: return copy(weights.embed, static_cast<size_t>(shape.codebooks * (shape.vocabulary + 1)) * hidden);
    case kNormWeight: return copy(weights.norm.weight, hidden);
    case kNormBias: return copy(weights.norm.bias, hidden);
    case kHeads: return rows(weights.heads, shape.codebooks * shape.vocabulary);
    case kSelfNormWeight: return copy(layer.self_norm.weight, hidden);
    case kSelfNormBias: return copy(layer.self_norm.bias, hidden);
    case kCrossNormWeight: return copy(layer.cross_norm.weight, hidden);
    case kCrossNormBias: return copy(layer.cross_norm.bias, hidden);
    case kFfnNormWeight: return copy(layer.ffn_norm.weight, hidden);
    case kFfnNormBias: return copy(layer.ffn_norm.bias, hidden);
    case kQkv: return heads(layer.qkv, 0, 3);
    case kSelfOut: return rows(layer.self_out, shape.hidden);
    case kCrossQ: return heads(layer.cross_q, 0, 1);
    case kCrossK: return heads(layer.cross_kv, 0, 1);
    case kCrossV: return heads(layer.cross_kv, 1, 1);
    case kCrossOut: return rows(layer.cross_out, shape.hidden);
    case kFc1: return rows(layer.fc1, shape.ffn);
    case kFc2: return rows(layer.fc2, shape.hidden);
    default: return;
  }
}

}  // namespace musicgen
