// EnCodec's decoder (Défossez et al. 2022, arXiv:2210.13438, as MusicGen uses it) on the CPU: a convolution, an LSTM
// with a skip connection, then upsampling levels that each turn one row into `stride` rows, and a last convolution.
//
// Between the levels only the ELU of a level's output is stored, as float or bfloat16, whichever is multiplied; sums
// are float. Every output is summed in the same order whichever thread computes it, and however many rows there are.
#include <algorithm>
#include <atomic>
#include <new>
#include <stdexcept>
#include <vector>

#include "../source/threads.h"
#include "matrix.h"

extern "C" {
// A part of one sound. Rows are stored one after another.
struct codec_part {
  const float* inputs;  // (rows, channels)
  std::int32_t rows;
  std::int32_t skip;  // codec_lstm: rows of the first convolution that are context only
  std::int32_t take;  // codec_lstm: rows after these whose output is wanted
  float* state;       // codec_lstm: (LSTM layers, 2, hidden), h and c; updated
  float* outputs;     // codec_lstm: (take, hidden); codec_decode: (rows * hop)
};
}

namespace codec {
namespace {

template <class T>
void put(T* to, Vector v, int count) {
  if (count == kLanes) return Number<T>::store(to, v);
  for (int i = 0; i < count; ++i) to[i] = Number<T>::from(v[i]);
}

Vector get(const float* from, int count) {
  if (count == kLanes) return load(from);
  Vector v{};
  for (int i = 0; i < count; ++i) v[i] = from[i];
  return v;
}

// The row that row `i` of a sequence of `length` is a copy of, with up to `pad` rows of reflection padding at both
// ends; -1 is a row of zeros. A sequence that is too short for its reflection is first extended with zeros.
int mirrored(int i, int length, int pad) {
  const int long_enough = std::max(length, pad + 1);
  int from = i < 0 ? -i : i;
  if (from >= long_enough) from = 2 * (long_enough - 1) - from;
  return from < length ? from : -1;
}

class Layers {
 public:
  virtual ~Layers() = default;
  virtual bool complete() const = 0;
  virtual bool set(int which, int columns, int taps, int channels, const float* weights, const float* bias) = 0;
  virtual void lstm(codec_part* parts, int count) = 0;
  virtual void decode(codec_part* parts, int count) = 0;
};

template <class T>
class Decoder final : public Layers {
 public:
  Decoder(int threads, int lstm_layers, int levels, const std::int32_t* strides)
      : threads_(std::max(threads, 1)), lstm_(lstm_layers), levels_(levels), between_(threads_.count()) {
    for (int i = 0; i < levels; ++i) levels_[i].stride = strides[i];
    given_.resize(matrices());
  }

  bool complete() const override { return std::find(given_.begin(), given_.end(), false) == given_.end(); }

  // Matrices in order: first; per LSTM layer: input, recurrent; per level: up, narrow, widen; last.
  bool set(int which, int columns, int taps, int channels, const float* weights, const float* bias) override {
    const int depth = taps * channels, lstm_matrices = 2 * static_cast<int>(lstm_.size());
    const int number = which;
    if (which < 0 || which >= matrices() || columns < 1 || taps < 1 || channels < 1) return false;
    if (which > 0 && !given_[0]) return false;  // the others are checked against the first
    if (channels % Matrix<T, 2>::kGroup) return false;
    if (which == 0) {
      if (columns % kLanes != 0) return false;
      first_taps_ = taps;
      embedding_ = channels;
      hidden_ = columns;
      first_.pack(columns, depth, weights, bias);
      given_[0] = true;
      return true;
    }
    which -= 1;
    if (which < lstm_matrices) {
      if (columns != 4 * hidden_ || depth != hidden_) return false;
      std::vector<float> rows(static_cast<std::size_t>(columns) * depth), biases(columns);
      for (int i = 0; i < columns; ++i) {
        const int from = gate_of_column(i);
        std::copy_n(weights + static_cast<std::size_t>(from) * depth, depth,
                    &rows[static_cast<std::size_t>(i) * depth]);
        biases[i] = bias ? bias[from] : 0.f;
      }
      LstmLayer& layer = lstm_[which / 2];
      if (which % 2 == 0)
        layer.input.pack(columns, depth, rows.data(), biases.data());
      else
        layer.recurrent.pack(columns, depth, rows.data(), nullptr);
      given_[number] = true;
      return true;
    }
    which -= lstm_matrices;
    if (which < 3 * static_cast<int>(levels_.size())) {
      Level& level = levels_[which / 3];
      if (which % 3 == 0) {
        if (taps != 2 || columns % level.stride) return false;
        level.channels = columns / level.stride;
      } else if (which % 3 == 1 ? taps != 3 || channels != level.channels : taps != 1 || columns != level.channels) {
        return false;
      }
      if (which % 3 == 1)
        for (std::vector<T>& between : between_)
          between.resize(std::max(between.size(), static_cast<std::size_t>(kTallBlock) * columns));
      (which % 3 == 0 ? level.up : which % 3 == 1 ? level.narrow : level.widen).pack(columns, depth, weights, bias);
      given_[number] = true;
      return true;
    }
    if (columns != 1 || !bias) return false;
    last_taps_ = taps;
    last_.resize(depth);
    for (int i = 0; i < depth; ++i) last_[i] = Number<T>::from(weights[i]);
    last_bias_ = bias[0];
    given_[number] = true;
    return true;
  }

  void lstm(codec_part* parts, int count) override {
    std::vector<codec_part*> order(count);  // the longest first: at any step the parts still running come first
    for (int i = 0; i < count; ++i) order[i] = parts + i;
    std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->take > b->take; });
    std::vector<int> starts(count + 1, 0);  // index of each part's first row among all rows
    for (int i = 0; i < count; ++i) starts[i + 1] = starts[i] + order[i]->take;
    const int rows = starts[count];
    skips_.resize(static_cast<std::size_t>(rows) * hidden_);
    rows_.resize(static_cast<std::size_t>(rows) * hidden_);
    gates_.resize(static_cast<std::size_t>(rows) * 4 * hidden_);
    hidden_states_.resize(2 * static_cast<std::size_t>(count) * hidden_);
    inputs_.resize(static_cast<std::size_t>(order[0]->take + first_taps_) * embedding_);
    run([&](int thread) {
      for (int i = 0; i < count; ++i) convolve_first(thread, *order[i], starts[i]);
      for (std::size_t layer = 0; layer < lstm_.size(); ++layer) {
        const Matrix<T, 2>& input = lstm_[layer].input;
        multiply_rows(thread, input, rows_.data(), hidden_, rows, [&](int row, int column, Vector sum, int n) {
          put(&gates_[static_cast<std::size_t>(row) * 4 * hidden_ + column], sum, n);
        });
        run_lstm_layer(thread, layer, order, starts);
      }
    });
  }

  void decode(codec_part* parts, int count) override {
    int longest = 0;
    for (int i = 0; i < count; ++i) longest = std::max(longest, parts[i].rows);
    reserve(longest);
    run([&](int thread) {
      for (int i = 0; i < count; ++i) decode_part(thread, parts[i]);
    });
  }

 private:
  // How many matrices set() takes.
  int matrices() const { return 2 + 2 * static_cast<int>(lstm_.size()) + 3 * static_cast<int>(levels_.size()); }

  struct LstmLayer {
    Matrix<T, 2> input;
    Matrix<T, 4> recurrent;  // a panel is the four gates of kLanes units
  };
  struct Level {
    int stride = 0, channels = 0;
    Matrix<T, 2> up, narrow, widen;
  };

  // The checkpoint stores the gates input, forget, cell, output one after another, each for all units; here they are
  // interleaved for every kLanes units.
  int gate_of_column(int column) const {
    const int block = column / (4 * kLanes), gate = column / kLanes % 4, unit = column % kLanes;
    return gate * hidden_ + block * kLanes + unit;
  }

  // Calls work(thread) on every thread. It must not throw, so nothing in it allocates memory.
  template <class Work>
  void run(const Work& work) {
    threads_.run([](void* context, int thread) { (*static_cast<const Work*>(context))(thread); },
                 const_cast<Work*>(&work));
  }

  // Calls work() on one thread while the others wait.
  template <class Work>
  void on_one_thread(int thread, const Work& work) {
    if (thread == 0) work();
    threads_.arrive_and_wait();
  }

  // Calls task(0..count - 1), each on one thread, with a barrier at the end.
  template <class Task>
  void share(int thread, int count, const Task& task) {
    for (int i; (i = threads_.next_unit(thread, count)) >= 0;) task(i);
    threads_.arrive_and_wait();
  }

  // Allocates the workspace of the levels for a part with `rows` rows.
  void reserve(int rows) {
    std::size_t inputs = static_cast<std::size_t>(rows + 2) * hidden_, made = 0;
    const int pad = last_taps_ / 2;
    for (const Level& level : levels_) {
      rows *= level.stride;
      inputs = std::max(inputs, static_cast<std::size_t>(rows + 2 * std::max(pad, 1)) * level.channels);
      made = std::max(made, static_cast<std::size_t>(rows + 2 * level.stride) * level.channels);
    }
    inputs_.resize(std::max(inputs, inputs_.size()));
    next_inputs_.resize(inputs_.size());
    made_.resize(std::max(made, made_.size()));
    active_.resize(made_.size());
  }

  // Rows first..first + rows of one panel of a product: calls finish(row, column, sum with bias, number of valid
  // columns).
  template <class Finish>
  static void multiply_panel(const Matrix<T, 2>& matrix, const T* inputs, long step, int first, int rows, int panel,
                             const Finish& finish) {
    using M = Matrix<T, 2>;
    alignas(64) float tile[M::kTallest * M::kWidth];
    const int tiles = (rows + M::kTallest - 1) / M::kTallest;
    for (int i = 0; i < tiles; ++i) {  // tiles of equal height
      const int from = first + rows * i / tiles, height = first + rows * (i + 1) / tiles - from;
      matrix.multiply(inputs + from * step, step, height, panel, tile);
      for (int part = 0; part < 2; ++part) {
        const int column = panel * M::kWidth + part * kLanes, count = std::min(kLanes, matrix.columns() - column);
        if (count <= 0) break;
        const Vector bias = load(matrix.bias(panel) + part * kLanes);
        for (int row = 0; row < height; ++row)
          finish(from + row, column, load(tile + row * M::kWidth + part * kLanes) + bias, count);
      }
    }
  }

  // A whole product, shared by the threads.
  template <class Finish>
  void multiply_rows(int thread, const Matrix<T, 2>& matrix, const T* inputs, long step, int rows,
                     const Finish& finish) {
    const int blocks = (rows + kBlock - 1) / kBlock, panels = matrix.panels();
    share(thread, blocks * panels, [&](int task) {
      const int block = task / panels, from = rows * block / blocks, to = rows * (block + 1) / blocks;
      multiply_panel(matrix, inputs, step, from, to - from, task % panels, finish);
    });
  }

  void convolve_first(int thread, const codec_part& part, int start) {
    const int pad = first_taps_ / 2;
    on_one_thread(thread, [&] {
      for (int i = 0; i < part.take + 2 * pad; ++i) {
        const int from = mirrored(part.skip - pad + i, part.rows, pad);
        for (int k = 0; k < embedding_; ++k)
          inputs_[static_cast<std::size_t>(i) * embedding_ + k] =
              Number<T>::from(from < 0 ? 0.f : part.inputs[static_cast<std::size_t>(from) * embedding_ + k]);
      }
    });
    multiply_rows(thread, first_, inputs_.data(), embedding_, part.take, [&](int row, int column, Vector sum, int n) {
      const std::size_t at = static_cast<std::size_t>(start + row) * hidden_ + column;
      put(&skips_[at], sum, n);
      put(&rows_[at], sum, n);
    });
  }

  // One layer of the LSTM over all rows of all parts; its outputs replace its inputs.
  void run_lstm_layer(int thread, std::size_t layer, const std::vector<codec_part*>& order,
                      const std::vector<int>& starts) {
    using M = Matrix<T, 4>;
    const M& recurrent = lstm_[layer].recurrent;
    const int count = static_cast<int>(order.size()), longest = order[0]->take;
    const bool is_last = layer + 1 == lstm_.size();
    T *before = hidden_states_.data(), *after = before + static_cast<std::size_t>(count) * hidden_;
    on_one_thread(thread, [&] {
      for (int i = 0; i < count; ++i)
        for (int k = 0; k < hidden_; ++k)
          before[static_cast<std::size_t>(i) * hidden_ + k] = Number<T>::from(order[i]->state[2 * layer * hidden_ + k]);
    });
    alignas(64) float tile[M::kTallest * M::kWidth];
    const int first_panel = recurrent.panels() * thread / threads_.count();
    const int end_panel = recurrent.panels() * (thread + 1) / threads_.count();
    for (int step = 0, running = count; step < longest; ++step) {
      while (order[running - 1]->take <= step) --running;
      for (int panel = first_panel; panel < end_panel; ++panel) {
        for (int part = 0; part < running; part += M::kTallest) {
          const int height = std::min(M::kTallest, running - part);
          recurrent.multiply(before + static_cast<std::size_t>(part) * hidden_, hidden_, height, panel, tile);
          for (int i = 0; i < height; ++i) {
            const codec_part& one = *order[part + i];
            const std::size_t row = starts[part + i] + step;
            const float *gates = &gates_[(row * recurrent.panels() + panel) * M::kWidth], *sums = tile + i * M::kWidth;
            const auto gate = [&](int which) { return load(gates + which * kLanes) + load(sums + which * kLanes); };
            float *h = one.state + 2 * layer * hidden_ + panel * kLanes, *c = h + hidden_;
            const Vector cell = sigmoid(gate(1)) * load(c) + sigmoid(gate(0)) * hyperbolic_tangent(gate(2));
            const Vector out = sigmoid(gate(3)) * hyperbolic_tangent(cell);
            store(c, cell);
            store(h, out);
            Number<T>::store(after + static_cast<std::size_t>(part + i) * hidden_ + panel * kLanes, out);
            const std::size_t at = row * hidden_ + panel * kLanes;
            Number<T>::store(&rows_[at], out);
            if (is_last)
              store(one.outputs + static_cast<std::size_t>(step) * hidden_ + panel * kLanes, out + load(&skips_[at]));
          }
        }
      }
      threads_.arrive_and_wait();
      std::swap(before, after);
    }
  }

  void decode_part(int thread, const codec_part& part) {
    int rows = part.rows;
    on_one_thread(thread, [&] {  // a row of zeros before and after
      std::fill_n(inputs_.begin(), hidden_, T{});
      std::fill_n(inputs_.begin() + static_cast<long>(rows + 1) * hidden_, hidden_, T{});
      for (int i = 0; i < rows * hidden_; i += kLanes)
        Number<T>::store(&inputs_[hidden_ + i], elu(load(part.inputs + i)));
    });
    int channels = hidden_;
    for (std::size_t i = 0; i < levels_.size(); ++i) {
      run_level(thread, levels_[i], rows, channels, i + 1 == levels_.size() ? last_taps_ / 2 : 1);
      rows *= levels_[i].stride;
      channels = levels_[i].channels;
    }
    const int pad = last_taps_ / 2;
    on_one_thread(thread, [&] {
      T* first = &inputs_[static_cast<std::size_t>(pad) * channels];
      for (int i = -pad; i < rows + pad; i = i == -1 ? rows : i + 1)
        std::copy_n(first + static_cast<long>(mirrored(i, rows, pad)) * channels, channels,
                    first + static_cast<long>(i) * channels);
    });
    const int blocks = (rows + 511) / 512;
    share(thread, blocks, [&](int task) {
      for (int t = task * 512; t < std::min(rows, task * 512 + 512); ++t)
        part.outputs[t] = last_bias_ + dot(&inputs_[static_cast<std::size_t>(t) * channels], last_.data());
    });
  }

  // Replaces inputs_ (a row of zeros, rows, a row of zeros) by the level's output with `pad` rows at both ends.
  void run_level(int thread, const Level& level, int rows, int inputs, int pad) {
    const int channels = level.channels, stride = level.stride, made = rows * stride;
    const int cut = stride - stride / 2;  // of the 2 * stride - stride surplus rows, those at the beginning
    // the surplus rows are written as well: there is space for them before and after
    T* const out = next_inputs_.data() + static_cast<std::size_t>(pad) * channels;
    float* const whole = made_.data() + static_cast<std::size_t>(stride) * channels;
    T* const active = active_.data() + static_cast<std::size_t>(stride) * channels;
    multiply_rows(thread, level.up, inputs_.data(), inputs, rows + 1, [&](int row, int column, Vector sum, int n) {
      const long at = (static_cast<long>(row) * stride - cut) * channels + column;
      put(whole + at, sum, n);
      put(active + at, elu(sum), n);
    });
    on_one_thread(thread, [&] {
      std::copy_n(active + channels, channels, active - channels);
      std::copy_n(active + (made - 2L) * channels, channels, active + static_cast<long>(made) * channels);
      std::fill_n(next_inputs_.begin(), static_cast<std::size_t>(pad) * channels, T{});
      std::fill_n(out + static_cast<long>(made) * channels, static_cast<std::size_t>(pad) * channels, T{});
    });
    const int squeezed = level.narrow.columns(), blocks = (made + kTallBlock - 1) / kTallBlock;
    share(thread, blocks, [&](int task) {
      std::vector<T>& between = between_[thread];
      const int from = task * kTallBlock, height = std::min(kTallBlock, made - from);
      for (int panel = 0; panel < level.narrow.panels(); ++panel)
        multiply_panel(level.narrow, active + (from - 1L) * channels, channels, 0, height, panel,
                       [&](int row, int column, Vector sum, int n) {
                         put(&between[static_cast<std::size_t>(row) * squeezed + column], elu(sum), n);
                       });
      for (int panel = 0; panel < level.widen.panels(); ++panel)
        multiply_panel(level.widen, between.data(), squeezed, 0, height, panel,
                       [&](int row, int column, Vector sum, int n) {
                         const std::size_t at = static_cast<std::size_t>(from + row) * channels + column;
                         put(out + at, elu(sum + get(whole + at, n)), n);
                       });
    });
    on_one_thread(thread, [&] { inputs_.swap(next_inputs_); });
  }

  // A product with one column.
  float dot(const T* inputs, const T* weights) const {
    constexpr int kStride = kLanes * Number<T>::kGroup;
    const int depth = static_cast<int>(last_.size());
    Vector sum{};
    int k = 0;
    for (; k + kStride <= depth; k += kStride) sum = multiply_vectors(inputs + k, weights + k, sum);
    float rest = 0;
    for (; k < depth; ++k) rest += Number<T>::value(inputs[k]) * Number<T>::value(weights[k]);
    return sum_of(sum) + rest;
  }

  static Vector multiply_vectors(const T* a, const T* b, Vector sum) {
    if constexpr (Number<T>::kGroup == 1) {
      return multiply_add(load(a), load(b), sum);
    } else {
      Vector loaded;
      std::memcpy(&loaded, a, sizeof loaded);
      return Number<T>::multiply_add(loaded, b, sum);
    }
  }

  static constexpr int kBlock = 96;  // rows whose inputs stay in the second-level cache while all panels are multiplied
  static constexpr int kTallBlock = 96;  // rows of a residual block that are computed at once

  musicgen::Threads threads_;
  Matrix<T, 2> first_;
  std::vector<LstmLayer> lstm_;
  std::vector<Level> levels_;
  std::vector<T> last_;
  float last_bias_ = 0;
  int first_taps_ = 0, last_taps_ = 0, embedding_ = 0, hidden_ = 0;

  std::vector<std::vector<T>> between_;  // per thread: inside a residual block
  std::vector<T> inputs_, next_inputs_, active_, rows_, hidden_states_;
  std::vector<float> made_, skips_, gates_;
  std::vector<bool> given_;  // which matrices set() has been given
};

}  // namespace
}  // namespace codec

#define CODEC_API __attribute__((visibility("default")))

namespace {

enum { kDone = 0, kBadShape = 1, kNoMemory = 2, kBadCall = 3, kFailed = 4 };

#if defined(CODEC_FAULTS)
std::atomic<std::int32_t> fault_to_throw{0};

void throw_what_a_test_wants() {
  switch (fault_to_throw.exchange(0)) {
    case 1: throw std::bad_alloc();
    case 2: throw std::runtime_error("a test wants this");
    default: return;
  }
}
#else
void throw_what_a_test_wants() {}
#endif

// Runs `work` and turns whatever it throws into a code.
template <class Work>
std::int32_t without_exceptions(const Work& work) noexcept {
  try {
    throw_what_a_test_wants();
    return work();
  } catch (const std::bad_alloc&) {
    return kNoMemory;
  } catch (...) {
    return kFailed;
  }
}

codec::Layers* layers(void* codec) { return static_cast<codec::Layers*>(codec); }

// Are these parts complete? `has_state`: they are for codec_lstm.
bool are_complete(const codec_part* parts, std::int32_t count, bool has_state) {
  if (count < 0 || (count > 0 && parts == nullptr)) return false;
  for (std::int32_t i = 0; i < count; ++i) {
    const codec_part& part = parts[i];
    if (part.inputs == nullptr || part.outputs == nullptr || part.rows < 1) return false;
    if (!has_state) continue;
    if (part.state == nullptr || part.skip < 0 || part.take < 1 || part.take > part.rows - part.skip) return false;
  }
  return true;
}

}  // namespace

// A codec may be used by one thread at a time. No exception leaves; functions return 0 = done, 1 = a matrix with a
// shape that does not fit, 2 = out of memory, 3 = a null pointer, an impossible size, or matrices still missing, 4 =
// another failure.
extern "C" {

// The size of codec_part in bytes: a caller compares it with its own when it loads the library.
CODEC_API std::int32_t codec_abi() { return sizeof(codec_part); }

// Whether this library multiplies bfloat16 on the instruction set that it was compiled for.
CODEC_API std::int32_t codec_has_bfloat16() {
#if defined(CODEC_HAS_BFLOAT16)
  return 1;
#else
  return 0;
#endif
}

// Returns null when memory runs out, for a precision that is missing, or for an impossible size.
CODEC_API void* codec_open(std::int32_t bfloat16, std::int32_t threads, std::int32_t lstm_layers, std::int32_t levels,
                           const std::int32_t* strides) {
  if (lstm_layers < 0 || lstm_layers > 64 || levels < 1 || levels > 64 || threads > 256 || strides == nullptr)
    return nullptr;
  for (std::int32_t i = 0; i < levels; ++i)
    if (strides[i] < 1) return nullptr;
  codec::Layers* opened = nullptr;
  without_exceptions([&] {
    if (!bfloat16) opened = new codec::Decoder<float>(threads, lstm_layers, levels, strides);
#if defined(CODEC_HAS_BFLOAT16)
    if (bfloat16) opened = new codec::Decoder<codec::Bfloat16>(threads, lstm_layers, levels, strides);
#endif
    return std::int32_t{kDone};
  });
  return opened;
}

CODEC_API void codec_close(void* codec) {
  without_exceptions([&] {
    delete layers(codec);
    return std::int32_t{kDone};
  });
}

// Sets matrix number `which`, weights (columns, taps, channels). Matrix 0 has to be set first.
CODEC_API std::int32_t codec_set(void* codec, std::int32_t which, std::int32_t columns, std::int32_t taps,
                                 std::int32_t channels, const float* weights, const float* bias) {
  if (codec == nullptr || weights == nullptr) return kBadCall;
  return without_exceptions([&] {
    return std::int32_t{layers(codec)->set(which, columns, taps, channels, weights, bias) ? kDone : kBadShape};
  });
}

// Runs the first convolution and the LSTM.
CODEC_API std::int32_t codec_lstm(void* codec, codec_part* parts, std::int32_t count) {
  if (codec == nullptr || !are_complete(parts, count, true) || !layers(codec)->complete()) return kBadCall;
  if (count == 0) return kDone;
  return without_exceptions([&] {
    layers(codec)->lstm(parts, count);
    return std::int32_t{kDone};
  });
}

// Decodes the LSTM's output to audio: upsampling levels and last convolution.
CODEC_API std::int32_t codec_decode(void* codec, codec_part* parts, std::int32_t count) {
  if (codec == nullptr || !are_complete(parts, count, false) || !layers(codec)->complete()) return kBadCall;
  return without_exceptions([&] {
    layers(codec)->decode(parts, count);
    return std::int32_t{kDone};
  });
}

#if defined(CODEC_FAULTS)
// Built for tests only: the next call throws, as it does when memory runs out (1) or for another reason (2).
CODEC_API void codec_fail_next(std::int32_t how) { fault_to_throw = how; }
#endif
}
