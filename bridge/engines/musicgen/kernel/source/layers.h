// One pass of some rows through all layers, as each thread runs it.
//
// Phases, with a barrier after each:
//   every layer   self-attention: norm, query-key-value, append to the KV cache, attend   units of one head
//                 self_out, added to x                                                    units of one tile
//                 cross-attention: norm, query, attend to the encoder states              units of one head
//                 cross_out, added to x                                                   units of one tile
//                 MLP: norm, fc1, GELU                                                    units of one tile
//                 fc2, added to x                                                         units of one tile
//   at the end    norm, heads of the codebooks                                            units of one tile
// Only the rows that have a text take part in cross-attention; folded.h describes it for short texts. Only the rows
// whose scores are wanted take part in the last phase. With few rows every thread prepares all inputs for itself; with
// more rows the threads share that work, which costs one more barrier.
#pragma once
#include "attention.h"
#include "folded.h"
#include "matmul.h"
#include "threads.h"

namespace musicgen {
namespace {

constexpr int kPreparedAlone = 2;             // up to so many rows, every thread prepares all inputs itself
constexpr size_t kFetchWaiting = 192 * 1024;  // bytes prefetched while waiting for the other threads

inline int tiles(const Matrix& matrix) { return matrix.outputs / kTile; }

// Layer normalisation: (x - mean) / sqrt(variance + 1e-5) * weight + bias
inline void layer_norm(const float* x, const Norm& norm, int count, float* out) {
  const Lanes::Floats inverse_count = Lanes::set(1.0f / static_cast<float>(count));
  Lanes::Floats sum = Lanes::zero();
  for (int i = 0; i < count; i += kLanes) sum = Lanes::add(sum, Lanes::load(x + i));
  const Lanes::Floats mean = Lanes::mul(Lanes::set(Lanes::sum(sum)), inverse_count);
  Lanes::Floats squares = Lanes::zero();
  for (int i = 0; i < count; i += kLanes) {
    const Lanes::Floats off = Lanes::sub(Lanes::load(x + i), mean);
    squares = Lanes::fma(off, off, squares);
  }
  const float variance = Lanes::sum(squares) / static_cast<float>(count);
  const Lanes::Floats inverse = Lanes::set(1.0f / __builtin_sqrtf(variance + 1e-5f));
  for (int i = 0; i < count; i += kLanes) {
    const Lanes::Floats off = Lanes::mul(Lanes::sub(Lanes::load(x + i), mean), inverse);
    Lanes::store(out + i, Lanes::fma(off, Lanes::load(norm.weight + i), Lanes::load(norm.bias + i)));
  }
}

template <class Format>
class PassOnThread {
 public:
  using KvType = typename Format::KvType;
  using FoldedType = typename Format::FoldedType;

  PassOnThread(Decoder& decoder, int thread)
      : decoder_(decoder),
        weights_(decoder.weights),
        threads_(*decoder.threads),
        scratch_(decoder.scratch[thread]),
        thread_(thread),
        hidden_(decoder.weights.shape.hidden) {}

  void step() {
    const Pass& pass = decoder_.pass;
    for (int row = thread_; row < pass.count; row += threads_.count())
      embed(pass.rows[row], decoder_.x + row * hidden_);
    arrive_and_wait(weights_.layers[0].qkv);
    for (int i = 0; i < weights_.shape.layers; ++i) {
      const Layer& layer = weights_.layers[i];
      self_attention(i, layer);
      add_product(layer.self_out, decoder_.attended, pass.all, pass.count);
      if (pass.cross_count + pass.folded_count > 0) {
        wait_for_cross(i, layer);
        cross_attention(i, layer);
        add_cross_output(i, layer);
      }
      arrive_and_wait(layer.fc1);
      mlp_up(layer);
      add_product(layer.fc2, decoder_.inner, pass.all, pass.count);
      arrive_and_wait(i + 1 < weights_.shape.layers ? weights_.layers[i + 1].qkv : weights_.heads);
    }
    score();
  }

  // Keys and values of the encoder states for the cross-attention of all layers: of pass.count states, from first_state
  // on.
  void prefill_cross() {
    const int rows = decoder_.pass.count, head_width = weights_.head;
    const Inputs inputs = prepared(rows, hidden_, [&](int row) { return decoder_.encoder_states + row * hidden_; });
    const int heads = weights_.shape.heads;
    for (int unit; (unit = threads_.next_unit(thread_, weights_.shape.layers * heads)) >= 0;) {
      const int layer = unit / heads, head = unit % heads;
      const int wide = multiply_head(weights_.layers[layer].cross_kv, head, inputs, rows);
      if (decoder_.folded.data != nullptr) {
        if constexpr (Format::kFolds)
          for (int first = 0; first < rows; first += kLanes)
            fold<Format>(decoder_.folded, layer, weights_.layers[layer], head, first, head_width,
                         scratch_.values + first * wide, scratch_.values + first * wide + head_width, wide,
                         scratch_.normed_inputs, scratch_.product);
        continue;
      }
      for (int row = 0; row < rows; ++row)
        append_kv<KvType>(decoder_.cross_kv, layer, head, decoder_.first_state + row, head_width, weights_.padded_head,
                          scratch_.values + row * wide, scratch_.values + row * wide + head_width);
    }
  }

 private:
  void arrive_and_wait(const Matrix& next) { arrive_and_wait(next.tiles, next.tile_bytes, tiles(next)); }

  // The next phase reads `units` units of `unit_bytes` bytes each, from `next` on: this thread's are prefetched.
  void arrive_and_wait(const uint8_t* next, size_t unit_bytes, int units) {
    threads_.arrive_and_wait(next + static_cast<size_t>(threads_.first(thread_, units)) * unit_bytes, kFetchWaiting);
  }

  void wait_for_cross(int number, const Layer& layer) {
    const Pass& pass = decoder_.pass;
    if constexpr (Format::kFolds)
      if (pass.cross_count == 0) {
        const FoldedText& text = pass.rows[pass.folded[0]].folded;
        const FoldedType* keys = folded_keys<FoldedType>(text, number, 0, hidden_);
        return arrive_and_wait(reinterpret_cast<const uint8_t*>(keys), sizeof(FoldedType) * text.padded * hidden_,
                               weights_.shape.heads);
      }
    arrive_and_wait(layer.cross_q);
  }

  // The input of a row: the sum of its codes' embeddings, and its position.
  void embed(const Row& row, float* x) const {
    const float* position = decoder_.positions + static_cast<size_t>(row.position) * static_cast<size_t>(hidden_);
    const Shape& shape = weights_.shape;
    for (int i = 0; i < hidden_; i += kLanes) {
      Lanes::Floats sum = Lanes::zero();
      if (row.embedding != nullptr) {
        sum = Lanes::load(row.embedding + i);
      } else {
        for (int book = 0; book < shape.codebooks; ++book) {
          const int code = book * (shape.vocabulary + 1) + row.codes[book];
          sum = Lanes::add(sum, Lanes::load(weights_.embed + static_cast<size_t>(code) * hidden_ + i));
        }
      }
      Lanes::store(x + i, Lanes::add(sum, Lanes::load(position + i)));
    }
  }

  // `rows` rows in the form that Format multiplies; values(row) returns a row's numbers.
  template <class Values>
  Inputs prepared(int rows, int count, Values values) {
    if (rows <= kPreparedAlone || threads_.count() == 1) {
      for (int row = 0; row < rows; ++row) Format::prepare(scratch_.inputs, row, rows, values(row), count);
      return scratch_.inputs;
    }
    for (int row = thread_; row < rows; row += threads_.count())
      Format::prepare(decoder_.inputs, row, rows, values(row), count);
    threads_.arrive_and_wait();
    return decoder_.inputs;
  }

  Inputs prepared_norm(const Norm& norm, const int32_t* which, int rows) {
    return prepared(rows, hidden_, [&](int row) {
      layer_norm(decoder_.x + which[row] * hidden_, norm, hidden_, scratch_.normed);
      return static_cast<const float*>(scratch_.normed);
    });
  }

  // Computes all outputs of one head into scratch_.values; returns how many there are per row.
  int multiply_head(const Matrix& matrix, int head, Inputs inputs, int rows) {
    const int count = tiles(matrix) / weights_.shape.heads;
    for (int i = 0; i < count; ++i)
      multiply_tile<Format>(matrix, head * count + i, inputs, rows, scratch_.values + i * kTile, count * kTile);
    return count * kTile;
  }

  void self_attention(int number, const Layer& layer) {
    const Pass& pass = decoder_.pass;
    const int width = weights_.head, padded = weights_.padded_head;
    const Inputs inputs = prepared_norm(layer.self_norm, pass.all, pass.count);
    for (int head; (head = threads_.next_unit(thread_, weights_.shape.heads)) >= 0;) {
      const int wide = multiply_head(layer.qkv, head, inputs, pass.count);
      // all rows are appended before any attends: they may be positions of one sequence
      for (int row = 0; row < pass.count; ++row) {
        const float* key = scratch_.values + row * wide + width;
        append_kv<KvType>(pass.rows[row].kv, number, head, pass.rows[row].position, width, padded, key, key + width);
      }
      for (int row = 0; row < pass.count; ++row)
        attend<KvType>(pass.rows[row].kv, number, head, pass.rows[row].position + 1, width, padded,
                       scratch_.values + row * wide, decoder_.attended + row * hidden_ + head * width,
                       pass.rows[smaller(row + 1, pass.count - 1)].kv);
    }
    arrive_and_wait(layer.self_out);
  }

  // Units: first the heads of all rows with keys and values, then the heads of each row with a folded text.
  void cross_attention(int number, const Layer& layer) {
    const Pass& pass = decoder_.pass;
    const int width = weights_.head, heads = weights_.shape.heads;
    const int unfolded = pass.cross_count > 0 ? heads : 0;
    Inputs inputs{};
    if (unfolded > 0) inputs = prepared_norm(layer.cross_norm, pass.cross, pass.cross_count);
    int normed = -1;  // the row that scratch_.normed belongs to
    for (int unit; (unit = threads_.next_unit(thread_, unfolded + heads * pass.folded_count)) >= 0;) {
      if (unit < unfolded) {
        const int wide = multiply_head(layer.cross_q, unit, inputs, pass.cross_count);
        for (int i = 0; i < pass.cross_count; ++i) {
          const Row& row = pass.rows[pass.cross[i]];
          attend<KvType>(row.cross_kv, number, unit, row.cross_length, width, weights_.padded_head,
                         scratch_.values + i * wide, decoder_.attended + i * hidden_ + unit * width, row.cross_kv);
        }
      } else if constexpr (Format::kFolds) {
        const int i = (unit - unfolded) / heads, row = pass.folded[i];
        if (i != normed) {
          layer_norm(decoder_.x + row * hidden_, layer.cross_norm, hidden_, scratch_.normed);
          Int8::prepare(scratch_.normed_inputs, 0, 1, scratch_.normed, hidden_);
        }
        normed = i;
        attend_folded<FoldedType>(pass.rows[row].folded, number, (unit - unfolded) % heads, hidden_, scratch_.normed,
                                  scratch_.normed_inputs, probs_of(i));
      }
    }
    arrive_and_wait(layer.cross_out);
  }

  // x += the output of the cross-attention
  void add_cross_output(int number, const Layer& layer) {
    const Pass& pass = decoder_.pass;
    Inputs inputs{};
    if (pass.cross_count > 0)
      inputs = prepared(pass.cross_count, hidden_, [&](int row) { return decoder_.attended + row * hidden_; });
    for (int tile; (tile = threads_.next_unit(thread_, tiles(layer.cross_out))) >= 0;) {
      if (pass.cross_count > 0) add_tile(layer.cross_out, tile, inputs, pass.cross, pass.cross_count);
      if constexpr (Format::kFolds)
        for (int i = 0; i < pass.folded_count; ++i)
          add_folded<FoldedType>(pass.rows[pass.folded[i]].folded, number, tile, probs_of(i),
                                 decoder_.x + pass.folded[i] * hidden_ + tile * kTile,
                                 smaller(kTile, hidden_ - tile * kTile));
    }
  }

  // Where the heads of the row folded[i] store their probabilities: after what the rows with keys and values attended
  // to.
  float* probs_of(int i) const { return decoder_.attended + (decoder_.pass.cross_count + i) * hidden_; }

  // x[which] += matrix * values
  void add_product(const Matrix& matrix, const float* values, const int32_t* which, int rows) {
    const Inputs inputs = prepared(rows, matrix.inputs, [&](int row) { return values + row * matrix.inputs; });
    for (int tile; (tile = threads_.next_unit(thread_, tiles(matrix))) >= 0;)
      add_tile(matrix, tile, inputs, which, rows);
  }

  void add_tile(const Matrix& matrix, int tile, Inputs inputs, const int32_t* which, int rows) {
    multiply_tile<Format>(matrix, tile, inputs, rows, scratch_.values, kTile);
    for (int row = 0; row < rows; ++row)
      for (int i = 0; i < kTile && tile * kTile + i < hidden_; i += kLanes) {
        float* x = decoder_.x + which[row] * hidden_ + tile * kTile + i;
        Lanes::store(x, Lanes::add(Lanes::load(x), Lanes::load(scratch_.values + row * kTile + i)));
      }
  }

  // inner = GELU(fc1 * norm(x))
  void mlp_up(const Layer& layer) {
    const Pass& pass = decoder_.pass;
    const Inputs inputs = prepared_norm(layer.ffn_norm, pass.all, pass.count);
    const int wide = weights_.shape.ffn;
    for (int tile; (tile = threads_.next_unit(thread_, tiles(layer.fc1))) >= 0;) {
      multiply_tile<Format>(layer.fc1, tile, inputs, pass.count, scratch_.values, kTile);
      for (int row = 0; row < pass.count; ++row)
        for (int i = 0; i < kTile && tile * kTile + i < wide; i += kLanes)
          Lanes::store(decoder_.inner + row * wide + tile * kTile + i,
                       gelu(Lanes::load(scratch_.values + row * kTile + i)));
    }
    arrive_and_wait(layer.fc2);
  }

  void score() {
    const Pass& pass = decoder_.pass;
    if (pass.scored_count == 0) return;
    const Inputs inputs = prepared_norm(weights_.norm, pass.scored, pass.scored_count);
    const int all = weights_.shape.codebooks * weights_.shape.vocabulary;
    for (int tile; (tile = threads_.next_unit(thread_, tiles(weights_.heads))) >= 0;) {
      multiply_tile<Format>(weights_.heads, tile, inputs, pass.scored_count, scratch_.values, kTile);
      const size_t count = static_cast<size_t>(smaller(kTile, all - tile * kTile));
      for (int i = 0; i < pass.scored_count; ++i)
        std::memcpy(pass.rows[pass.scored[i]].scores + tile * kTile, scratch_.values + i * kTile,
                    count * sizeof(float));
    }
  }

  Decoder& decoder_;
  const Weights& weights_;
  Threads& threads_;
  const Scratch& scratch_;
  const int thread_, hidden_;
};

template <class Format>
void step(Decoder& decoder, int thread) {
  PassOnThread<Format>(decoder, thread).step();
}

template <class Format>
void prefill_cross(Decoder& decoder, int thread) {
  PassOnThread<Format>(decoder, thread).prefill_cross();
}

}  // namespace
}  // namespace musicgen

// What each kernels_*.cpp defines.
#define MUSICGEN_KERNELS(identifier, name)                                                          \
  namespace musicgen {                                                                              \
  extern const Kernels identifier;                                                                  \
  const Kernels identifier{                                                                         \
      name,                                                                                         \
      {step<Float32>, step<Bfloat16>, step<Int8>, step<Int4>},                                      \
      {prefill_cross<Float32>, prefill_cross<Bfloat16>, prefill_cross<Int8>, prefill_cross<Int4>}}; \
  }
