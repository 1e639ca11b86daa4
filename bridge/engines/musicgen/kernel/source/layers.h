// A pass of some rows through all layers, as each thread does it.
//
// Phases, with a meeting of all threads after each:
//   every layer   heads: norm, query-key-value, keep, attend        units of one head
//                 self_out, added to x                              units of one tile
//                 heads: norm, cross query, attend to the memory    only rows with a memory; absorbed.h says how
//                 cross_out, added to x                             those hear whose text is absorbed
//                 norm, fc1, GELU
//                 fc2, added to x
//   at the end    norm, heads of the codebooks                      only rows whose scores are wanted
// With few rows every thread prepares all inputs for itself; with more they share them out, for one more meeting.
#pragma once
#include "absorbed.h"
#include "attention.h"
#include "matmul.h"
#include "threads.h"

namespace musicgen {
namespace {

constexpr int kPreparedAlone = 2;             // rows up to which every thread prepares all inputs itself
constexpr size_t kFetchWaiting = 192 * 1024;  // bytes fetched while waiting for the others

inline int tiles(const Matrix& matrix) { return matrix.outputs / kTile; }

// Gaussian numbers: (x - mean) / sqrt(variance + 1e-5) * weight + bias
inline void normalise(const float* x, const Norm& norm, int count, float* out) {
  const Lanes::Floats share = Lanes::set(1.0f / static_cast<float>(count));
  Lanes::Floats sum = Lanes::zero();
  for (int i = 0; i < count; i += kLanes) sum = Lanes::add(sum, Lanes::load(x + i));
  const Lanes::Floats mean = Lanes::mul(Lanes::set(Lanes::sum(sum)), share);
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
  using Kept = typename Format::Kept;
  using Text = typename Format::Absorbed;

  PassOnThread(Decoder& decoder, int thread)
      : decoder_(decoder),
        weights_(decoder.weights),
        threads_(*decoder.threads),
        own_(decoder.scratch[thread]),
        thread_(thread),
        hidden_(decoder.weights.shape.hidden) {}

  void step() {
    const Pass& pass = decoder_.pass;
    for (int row = thread_; row < pass.count; row += threads_.count())
      enter(pass.rows[row], decoder_.x + row * hidden_);
    meet(weights_.layers[0].qkv);
    for (int i = 0; i < weights_.shape.layers; ++i) {
      const Layer& layer = weights_.layers[i];
      hear_itself(i, layer);
      add_product(layer.self_out, decoder_.attended, pass.all, pass.count);
      if (pass.hearing_count + pass.absorbed_count > 0) {
        meet_to_hear(i, layer);
        hear_memory(i, layer);
        add_heard(i, layer);
      }
      meet(layer.fc1);
      widen(layer);
      add_product(layer.fc2, decoder_.inner, pass.all, pass.count);
      meet(i + 1 < weights_.shape.layers ? weights_.layers[i + 1].qkv : weights_.heads);
    }
    score();
  }

  // Keys and values of rows of the memory for all layers; pass.count of them, from memory_first on.
  void listen() {
    const int rows = decoder_.pass.count, head_width = weights_.head;
    const Inputs inputs = prepared(rows, hidden_, [&](int row) { return decoder_.memory + row * hidden_; });
    const int heads = weights_.shape.heads;
    for (int unit; (unit = threads_.take(thread_, weights_.shape.layers * heads)) >= 0;) {
      const int layer = unit / heads, head = unit % heads;
      const int wide = multiply_head(weights_.layers[layer].cross_kv, head, inputs, rows);
      if (decoder_.absorbed.data != nullptr) {
        if constexpr (Format::kAbsorbs)
          for (int first = 0; first < rows; first += kLanes)
            absorb<Format>(decoder_.absorbed, layer, weights_.layers[layer], head, first, head_width,
                           own_.values + first * wide, own_.values + first * wide + head_width, wide,
                           own_.normed_inputs, own_.made);
        continue;
      }
      for (int row = 0; row < rows; ++row)
        keep<Kept>(decoder_.memory_past, layer, head, decoder_.memory_first + row, head_width, weights_.padded_head,
                   own_.values + row * wide, own_.values + row * wide + head_width);
    }
  }

 private:
  void meet(const Matrix& next) { meet(next.tiles, next.tile_bytes, tiles(next)); }

  // `units` of so many bytes from `next` on are what is worked on afterwards.
  void meet(const uint8_t* next, size_t unit_bytes, int units) {
    threads_.meet(next + static_cast<size_t>(threads_.first(thread_, units)) * unit_bytes, kFetchWaiting);
  }

  void meet_to_hear(int number, const Layer& layer) {
    const Pass& pass = decoder_.pass;
    if constexpr (Format::kAbsorbs)
      if (pass.hearing_count == 0) {
        const Absorbed& text = pass.rows[pass.absorbed[0]].absorbed;
        const Text* keys = absorbed_keys<Text>(text, number, 0, hidden_);
        return meet(reinterpret_cast<const uint8_t*>(keys), sizeof(Text) * text.padded * hidden_, weights_.shape.heads);
      }
    meet(layer.cross_q);
  }

  // What a row begins with: the sum of what its codes stand for, and its position.
  void enter(const Row& row, float* x) const {
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

  // The form of `rows` rows that Format multiplies with; values(row) makes or finds a row's numbers.
  template <class Values>
  Inputs prepared(int rows, int count, Values values) {
    if (rows <= kPreparedAlone || threads_.count() == 1) {
      for (int row = 0; row < rows; ++row) Format::prepare(own_.inputs, row, rows, values(row), count);
      return own_.inputs;
    }
    for (int row = thread_; row < rows; row += threads_.count())
      Format::prepare(decoder_.inputs, row, rows, values(row), count);
    threads_.meet();
    return decoder_.inputs;
  }

  Inputs prepared_norm(const Norm& norm, const int32_t* which, int rows) {
    return prepared(rows, hidden_, [&](int row) {
      normalise(decoder_.x + which[row] * hidden_, norm, hidden_, own_.normed);
      return static_cast<const float*>(own_.normed);
    });
  }

  // All outputs that belong to one head, into own_.values; returns how many there are for each row.
  int multiply_head(const Matrix& matrix, int head, Inputs inputs, int rows) {
    const int count = tiles(matrix) / weights_.shape.heads;
    for (int i = 0; i < count; ++i)
      multiply_tile<Format>(matrix, head * count + i, inputs, rows, own_.values + i * kTile, count * kTile);
    return count * kTile;
  }

  void hear_itself(int number, const Layer& layer) {
    const Pass& pass = decoder_.pass;
    const int width = weights_.head, padded = weights_.padded_head;
    const Inputs inputs = prepared_norm(layer.self_norm, pass.all, pass.count);
    for (int head; (head = threads_.take(thread_, weights_.shape.heads)) >= 0;) {
      const int wide = multiply_head(layer.qkv, head, inputs, pass.count);
      // all are kept before any attends: rows may be positions of one sequence
      for (int row = 0; row < pass.count; ++row) {
        const float* key = own_.values + row * wide + width;
        keep<Kept>(pass.rows[row].past, number, head, pass.rows[row].position, width, padded, key, key + width);
      }
      for (int row = 0; row < pass.count; ++row)
        attend<Kept>(pass.rows[row].past, number, head, pass.rows[row].position + 1, width, padded,
                     own_.values + row * wide, decoder_.attended + row * hidden_ + head * width,
                     pass.rows[smaller(row + 1, pass.count - 1)].past);
    }
    meet(layer.self_out);
  }

  // Units: the heads of all rows that hear by keys and values, then those of each row whose text is absorbed.
  void hear_memory(int number, const Layer& layer) {
    const Pass& pass = decoder_.pass;
    const int width = weights_.head, heads = weights_.shape.heads;
    const int together = pass.hearing_count > 0 ? heads : 0;
    Inputs inputs{};
    if (together > 0) inputs = prepared_norm(layer.cross_norm, pass.hearing, pass.hearing_count);
    int normed = -1;  // whose numbers own_.normed holds
    for (int unit; (unit = threads_.take(thread_, together + heads * pass.absorbed_count)) >= 0;) {
      if (unit < together) {
        const int wide = multiply_head(layer.cross_q, unit, inputs, pass.hearing_count);
        for (int i = 0; i < pass.hearing_count; ++i) {
          const Row& row = pass.rows[pass.hearing[i]];
          attend<Kept>(row.memory, number, unit, row.memory_length, width, weights_.padded_head, own_.values + i * wide,
                       decoder_.attended + i * hidden_ + unit * width, row.memory);
        }
      } else if constexpr (Format::kAbsorbs) {
        const int i = (unit - together) / heads, row = pass.absorbed[i];
        if (i != normed) {
          normalise(decoder_.x + row * hidden_, layer.cross_norm, hidden_, own_.normed);
          Int8::prepare(own_.normed_inputs, 0, 1, own_.normed, hidden_);
        }
        normed = i;
        attend_absorbed<Text>(pass.rows[row].absorbed, number, (unit - together) % heads, hidden_, own_.normed,
                              own_.normed_inputs, shares_of(i));
      }
    }
    meet(layer.cross_out);
  }

  // x += what was heard
  void add_heard(int number, const Layer& layer) {
    const Pass& pass = decoder_.pass;
    Inputs inputs{};
    if (pass.hearing_count > 0)
      inputs = prepared(pass.hearing_count, hidden_, [&](int row) { return decoder_.attended + row * hidden_; });
    for (int tile; (tile = threads_.take(thread_, tiles(layer.cross_out))) >= 0;) {
      if (pass.hearing_count > 0) add_tile(layer.cross_out, tile, inputs, pass.hearing, pass.hearing_count);
      if constexpr (Format::kAbsorbs)
        for (int i = 0; i < pass.absorbed_count; ++i)
          add_absorbed<Text>(pass.rows[pass.absorbed[i]].absorbed, number, tile, shares_of(i),
                             decoder_.x + pass.absorbed[i] * hidden_ + tile * kTile,
                             smaller(kTile, hidden_ - tile * kTile));
    }
  }

  // Where the heads of the row that is absorbed[i] put their shares: behind what the others have attended to.
  float* shares_of(int i) const { return decoder_.attended + (decoder_.pass.hearing_count + i) * hidden_; }

  // x[which] += matrix * values
  void add_product(const Matrix& matrix, const float* values, const int32_t* which, int rows) {
    const Inputs inputs = prepared(rows, matrix.inputs, [&](int row) { return values + row * matrix.inputs; });
    for (int tile; (tile = threads_.take(thread_, tiles(matrix))) >= 0;) add_tile(matrix, tile, inputs, which, rows);
  }

  void add_tile(const Matrix& matrix, int tile, Inputs inputs, const int32_t* which, int rows) {
    multiply_tile<Format>(matrix, tile, inputs, rows, own_.values, kTile);
    for (int row = 0; row < rows; ++row)
      for (int i = 0; i < kTile && tile * kTile + i < hidden_; i += kLanes) {
        float* x = decoder_.x + which[row] * hidden_ + tile * kTile + i;
        Lanes::store(x, Lanes::add(Lanes::load(x), Lanes::load(own_.values + row * kTile + i)));
      }
  }

  // inner = GELU(fc1 * norm(x))
  void widen(const Layer& layer) {
    const Pass& pass = decoder_.pass;
    const Inputs inputs = prepared_norm(layer.ffn_norm, pass.all, pass.count);
    const int wide = weights_.shape.ffn;
    for (int tile; (tile = threads_.take(thread_, tiles(layer.fc1))) >= 0;) {
      multiply_tile<Format>(layer.fc1, tile, inputs, pass.count, own_.values, kTile);
      for (int row = 0; row < pass.count; ++row)
        for (int i = 0; i < kTile && tile * kTile + i < wide; i += kLanes)
          Lanes::store(decoder_.inner + row * wide + tile * kTile + i,
                       gelu(Lanes::load(own_.values + row * kTile + i)));
    }
    meet(layer.fc2);
  }

  void score() {
    const Pass& pass = decoder_.pass;
    if (pass.scored_count == 0) return;
    const Inputs inputs = prepared_norm(weights_.norm, pass.scored, pass.scored_count);
    const int all = weights_.shape.codebooks * weights_.shape.vocabulary;
    for (int tile; (tile = threads_.take(thread_, tiles(weights_.heads))) >= 0;) {
      multiply_tile<Format>(weights_.heads, tile, inputs, pass.scored_count, own_.values, kTile);
      const size_t count = static_cast<size_t>(smaller(kTile, all - tile * kTile));
      for (int i = 0; i < pass.scored_count; ++i)
        std::memcpy(pass.rows[pass.scored[i]].scores + tile * kTile, own_.values + i * kTile, count * sizeof(float));
    }
  }

  Decoder& decoder_;
  const Weights& weights_;
  Threads& threads_;
  const Scratch& own_;
  const int thread_, hidden_;
};

template <class Format>
void step(Decoder& decoder, int thread) {
  PassOnThread<Format>(decoder, thread).step();
}

template <class Format>
void listen(Decoder& decoder, int thread) {
  PassOnThread<Format>(decoder, thread).listen();
}

}  // namespace
}  // namespace musicgen

// The one thing an object file of this kind is for.
#define MUSICGEN_KERNELS(identifier, name)                                                   \
  namespace musicgen {                                                                       \
  extern const Kernels identifier;                                                           \
  const Kernels identifier{name,                                                             \
                           {step<Float32>, step<Bfloat16>, step<Int8>, step<Int4>},          \
                           {listen<Float32>, listen<Bfloat16>, listen<Int8>, listen<Int4>}}; \
  }
