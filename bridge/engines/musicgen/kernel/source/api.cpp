#include "api.h"

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "arena.h"
#include "model.h"
#include "packing.h"
#include "sampling.h"
#include "threads.h"

namespace musicgen {
namespace {

static_assert(sizeof(Shape) == sizeof(musicgen_shape), "api.h and model.h agree");

struct Choice {
  const Kernels* kernels;
  bool supported;  // by this processor
};

std::vector<Choice> choices() {  // best first
  std::vector<Choice> all;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512vnni");
  all.push_back({&kAvx512Bf16, avx512 && __builtin_cpu_supports("avx512bf16")});
  all.push_back({&kAvx512, avx512});
  // f16c is in every processor that has avx2
  all.push_back({&kAvx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")});
#endif
  all.push_back({&kPortable, true});
  return all;
}

const Kernels* choose(const std::string& name, std::string& error) {
  for (const Choice& choice : choices())
    if (name.empty() ? choice.supported : name == choice.kernels->name) {
      if (choice.supported) return choice.kernels;
      error = "this processor has no " + name;
      return nullptr;
    }
  error = "there is no kernel named " + name;
  return nullptr;
}

std::string complaint(const Shape& s, int precision, int rows, int max_steps, int threads) {
  if (s.layers < 1 || s.heads < 1 || s.vocabulary < 1 || s.codebooks < 1) return "a size is not positive";
  if (s.hidden < kLanes || s.hidden % kLanes != 0 || s.ffn < kLanes || s.ffn % kLanes != 0)
    return "its widths are no multiples of 16";
  if (s.hidden % s.heads != 0 || s.hidden / s.heads > kHeadWidth) return "its heads are wider than 128, or uneven";
  if (s.hidden > 65536 || s.ffn > 262144 || s.layers > 1024 || s.vocabulary > (1 << 20) || s.codebooks > 256)
    return "a size is beyond any such model";
  if (precision < 0 || precision >= kPrecisions) return "there is no such precision";
  if (rows < 1 || rows > 4096) return "rows must be 1 to 4096";
  if (max_steps < 1 || max_steps > (1 << 20)) return "it needs at least one step";
  if (threads < 1 || threads > 256) return "threads must be 1 to 256";
  return {};
}

class Handle {
 public:
  Handle(const Shape& shape, int precision, int rows, int max_steps, int threads, const Kernels* kernels)
      : kernels_(kernels),
        threads_(threads),
        layers_(static_cast<size_t>(shape.layers)),
        scratch_(static_cast<size_t>(threads)),
        rows_(rows),
        max_steps_(max_steps),
        cross_kv_(static_cast<size_t>(rows)),
        cross_lengths_(static_cast<size_t>(rows)),
        folded_(static_cast<size_t>(rows)),
        table_(static_cast<size_t>(rows)),
        codes_(static_cast<size_t>(rows) * static_cast<size_t>(shape.codebooks)) {
    for (int i = 0; i < threads; ++i) sampling_scratch_.emplace_back(shape.vocabulary);
    Weights& weights = decoder_.weights;
    weights.shape = shape;
    weights.precision = precision;
    weight_memory_ = Arena(lay_out(weights, layers_.data(), nullptr));
    lay_out(weights, layers_.data(), weight_memory_.data());
    kv_blocks_ = (max_steps + kKvBlock - 1) / kKvBlock;
    row_bytes_ = kv_bytes(kv_blocks_);
    kv_memory_ = Arena(row_bytes_ * static_cast<size_t>(rows));
    decoder_.threads = &threads_;
    decoder_.scratch = scratch_.data();
    lay_out_workspace(nullptr);
    workspace_ = Arena(workspace_bytes_);
    lay_out_workspace(workspace_.data());
    fill_positions();
    for (int i = 0; i < kPassRows; ++i) decoder_.pass.all[i] = i;
  }

  const char* isa() const { return kernels_->name; }

  // Returns true when no other thread uses the decoder; the caller then has to unlock() it.
  bool try_lock() { return !locked_.exchange(true, std::memory_order_acquire); }

  void unlock() { locked_.store(false, std::memory_order_release); }

  Arena& weights() { return weight_memory_; }

  const float* embeddings() const { return decoder_.weights.embed; }

  int pack(int tensor, int layer, const float* values) {
    if (tensor < 0 || tensor >= kTensors || layer < 0 || layer >= decoder_.weights.shape.layers)
      return MUSICGEN_BAD_TENSOR;
    if (is_cross(static_cast<Tensor>(tensor)) && !decoder_.weights.shape.cross) return MUSICGEN_BAD_TENSOR;
    musicgen::pack(decoder_.weights, static_cast<Tensor>(tensor), layer, values, threads_);
    return MUSICGEN_DONE;
  }

  int prefill_cross(int row, const float* encoder_states, int length) {
    if (row < 0 || row >= rows_ || length < 0 || !decoder_.weights.shape.cross) return MUSICGEN_BAD_ROW;
    const size_t number = static_cast<size_t>(row);
    const int blocks = (length + kKvBlock - 1) / kKvBlock;
    const bool is_short = folds(length);
    const size_t layers = static_cast<size_t>(decoder_.weights.shape.layers);
    const size_t bytes = is_short ? folded_layout(nullptr, length).layer_bytes * layers : kv_bytes(blocks);
    folded_[number] = FoldedText{};
    if (cross_kv_[number].bytes() < bytes) {
      cross_kv_[number] = Arena();  // free the old one first
      cross_lengths_[number] = 0;
      cross_kv_[number] = Arena(bytes);
    }
    cross_lengths_[number] = length;
    if (is_short) folded_[number] = folded_layout(cross_kv_[number].data(), length);
    decoder_.folded = folded_[number];
    const size_t hidden = static_cast<size_t>(decoder_.weights.shape.hidden);
    for (int first = 0; first < length; first += kPassRows) {
      decoder_.pass.count = length - first < kPassRows ? length - first : kPassRows;
      decoder_.encoder_states = encoder_states + static_cast<size_t>(first) * hidden;
      decoder_.first_state = first;
      decoder_.cross_kv = kv_cache(cross_kv_[number].data(), blocks);
      run(kernels_->prefill_cross[decoder_.weights.precision]);
    }
    return MUSICGEN_DONE;
  }

  int step(int count, const musicgen_row* rows, float* scores) {
    for (int i = 0; i < count; ++i)
      if (const int fault = check(rows[i])) return fault;
    for (int first = 0; first < count; first += kPassRows) {
      fill_pass(rows + first, count - first < kPassRows ? count - first : kPassRows, scores);
      run(kernels_->step[decoder_.weights.precision]);
    }
    return MUSICGEN_DONE;
  }

  int run_steps(int count, musicgen_request* requests, int steps, const int32_t* const* stops, int stop_count,
                float* scores) {
    int rows = 0;
    for (int i = 0; i < count; ++i) rows += rows_of(requests[i]);
    if (rows > rows_) return MUSICGEN_BAD_ROW;
    for (int i = 0; i < count; ++i)
      if (requests[i].column < 0 || requests[i].column >= requests[i].last || requests[i].drawn < 0)
        return MUSICGEN_BAD_POSITION;
    for (bool more = true; more && steps > 0; --steps) {
      fill_table(requests, count);
      if (const int fault = step(rows, table_.data(), scores)) return fault;
      draw_all(requests, count, scores);
      for (int i = 0; i < count; ++i) more = advance(requests[i], drawn_for(i)) && more;
      for (int i = 0; i < stop_count; ++i) more = __atomic_load_n(stops[i], __ATOMIC_RELAXED) == 0 && more;
    }
    return MUSICGEN_DONE;
  }

 private:
  using Kernel = void (*)(Decoder&, int);

  static int rows_of(const musicgen_request& request) { return request.rows[1] < 0 ? 1 : 2; }

  int32_t* drawn_for(int request) { return codes_.data() + request * decoder_.weights.shape.codebooks; }

  void fill_table(const musicgen_request* requests, int count) {
    int next = 0;
    for (int i = 0; i < count; ++i) {
      const musicgen_request& of = requests[i];
      const int32_t* codes = of.columns + static_cast<int64_t>(of.column) * decoder_.weights.shape.codebooks;
      for (int which = 0; which < rows_of(of); ++which, ++next)
        table_[static_cast<size_t>(next)] = {of.rows[which], of.positions[which], of.cross[which], next, codes,
                                             nullptr};
    }
  }

  // Draws the next column of each request into codes_; the threads share the codes.
  void draw_all(const musicgen_request* requests, int count, const float* scores) {
    struct Context {
      Handle* self;
      const musicgen_request* requests;
      const float* scores;
      int count;
    } context{this, requests, scores, count};
    threads_.run(
        [](void* given, int thread) {
          const Context& all = *static_cast<Context*>(given);
          all.self->draw_on_thread(all.requests, all.count, all.scores, thread);
        },
        &context);
  }

  void draw_on_thread(const musicgen_request* requests, int count, const float* scores, int thread) {
    const Shape& shape = decoder_.weights.shape;
    const size_t vocabulary = static_cast<size_t>(shape.vocabulary), books = static_cast<size_t>(shape.codebooks);
    for (int unit; (unit = threads_.next_unit(thread, count * shape.codebooks)) >= 0;) {
      const int number = unit / shape.codebooks;
      const musicgen_request& of = requests[number];
      if (of.column < of.drawn) continue;  // this column was drawn before
      size_t first = 0;
      for (int i = 0; i < number; ++i) first += static_cast<size_t>(rows_of(requests[i])) * books * vocabulary;
      const size_t book = static_cast<size_t>(unit) % books;
      const float* conditional = scores + first + book * vocabulary;
      drawn_for(number)[book] = draw(
          of.sampling, conditional, rows_of(of) == 1 ? nullptr : conditional + books * vocabulary,
          of.used == nullptr ? nullptr : of.used + book * vocabulary,
          of.uniform[static_cast<size_t>(of.column) * books + book], sampling_scratch_[static_cast<size_t>(thread)]);
    }
  }

  // Advances a request by the step just made and stores what was drawn for it; false when it is complete or has failed.
  bool advance(musicgen_request& request, const int32_t* codes) const {
    const size_t books = static_cast<size_t>(decoder_.weights.shape.codebooks);
    ++request.column;
    for (int32_t& position : request.positions) ++position;
    if (request.column > request.drawn) {
      const size_t first = static_cast<size_t>(request.column) * books;
      for (size_t book = 0; book < books; ++book) request.failed |= codes[book] < 0;
      if (request.failed) return false;
      for (size_t book = 0; book < books; ++book) {
        int32_t& code = request.columns[first + book];
        if (request.open[first + book]) code = codes[book];
        if (request.used != nullptr && code >= 0 && code < decoder_.weights.shape.vocabulary)
          request.used[book * static_cast<size_t>(decoder_.weights.shape.vocabulary) + static_cast<size_t>(code)] = 1;
      }
      request.drawn = request.column;
    }
    return request.column < request.last;
  }

  void run(Kernel kernel) {
    struct Context {
      Decoder* decoder;
      Kernel kernel;
    } context{&decoder_, kernel};
    threads_.run(
        [](void* given, int thread) {
          const Context& both = *static_cast<Context*>(given);
          both.kernel(*both.decoder, thread);
        },
        &context);
  }

  int check(const musicgen_row& row) const {
    if (row.row < 0 || row.row >= rows_) return MUSICGEN_BAD_ROW;
    if (row.position < 0 || row.position >= max_steps_) return MUSICGEN_BAD_POSITION;
    if (row.codes != nullptr)
      for (int i = 0; i < decoder_.weights.shape.codebooks; ++i)
        if (row.codes[i] < 0 || row.codes[i] > decoder_.weights.shape.vocabulary) return MUSICGEN_BAD_CODE;
    return row.codes == nullptr && row.embedding == nullptr ? MUSICGEN_BAD_CODE : MUSICGEN_DONE;
  }

  void fill_pass(const musicgen_row* rows, int count, float* scores) {
    Pass& pass = decoder_.pass;
    const Shape& shape = decoder_.weights.shape;
    pass.count = count;
    pass.cross_count = pass.folded_count = pass.scored_count = 0;
    for (int i = 0; i < count; ++i) {
      const musicgen_row& from = rows[i];
      const size_t number = static_cast<size_t>(from.row);
      Row& row = pass.rows[i];
      row = Row{};
      row.kv = kv_cache(kv_memory_.data() + number * row_bytes_, kv_blocks_);
      row.position = from.position;
      row.codes = from.codes;
      row.embedding = from.embedding;
      if (from.cross && folded_[number].data != nullptr) {
        row.folded = folded_[number];
        pass.folded[pass.folded_count++] = i;
      } else if (from.cross && cross_lengths_[number] > 0) {
        row.cross_kv = kv_cache(cross_kv_[number].data(), (cross_lengths_[number] + kKvBlock - 1) / kKvBlock);
        row.cross_length = cross_lengths_[number];
        pass.cross[pass.cross_count++] = i;
      }
      if (from.scores >= 0) {
        const size_t wide = static_cast<size_t>(shape.codebooks * shape.vocabulary);
        row.scores = scores + static_cast<size_t>(from.scores) * wide;
        pass.scored[pass.scored_count++] = i;
      }
    }
  }

  size_t head_bytes() const {
    const Weights& weights = decoder_.weights;
    return size_t{2} * kKvBlock * static_cast<size_t>(weights.padded_head) * (weights.precision == kFloat32 ? 4 : 2);
  }

  KvCache kv_cache(uint8_t* data, int blocks) const {
    const size_t block_bytes = head_bytes() * static_cast<size_t>(decoder_.weights.shape.heads);
    return {data, block_bytes * static_cast<size_t>(blocks), block_bytes, head_bytes()};
  }

  size_t kv_bytes(int blocks) const {
    return kv_cache(nullptr, blocks).layer_bytes * static_cast<size_t>(decoder_.weights.shape.layers);
  }

  // Is the cross-attention to a text of `length` tokens folded? This depends on nothing else, so that a row's numbers
  // are the same whatever the other rows are.
  bool folds(int length) const {
    const Weights& weights = decoder_.weights;
    return weights.precision != kInt4 && length > 0 && length <= kFoldedTokens && length <= weights.head &&
           weights.head % kLanes == 0 && 64 % weights.head == 0;
  }

  FoldedText folded_layout(uint8_t* data, int tokens) const {
    const Weights& weights = decoder_.weights;
    const size_t hidden = static_cast<size_t>(weights.shape.hidden), heads = static_cast<size_t>(weights.shape.heads);
    const size_t number = weights.precision == kFloat32 ? 4 : weights.precision == kBfloat16 ? 2 : 1;
    FoldedText text{};
    text.data = data;
    text.tokens = tokens;
    text.padded = (tokens + kLanes - 1) / kLanes * kLanes;
    text.heads = weights.shape.heads;
    text.pairs = weights.shape.heads * (weights.precision == kInt8 ? (tokens + 3) / 4 * 4 : tokens);
    const size_t padded = heads * static_cast<size_t>(text.padded);
    text.keys_at = 2 * padded * sizeof(float);
    text.values_at = text.keys_at + padded * hidden * number;
    const size_t tiles = (hidden + kTile - 1) / kTile;
    text.layer_bytes = text.values_at + tiles * static_cast<size_t>(text.pairs) * kTile * number;
    text.layer_bytes = (text.layer_bytes + 63) / 64 * 64;
    return text;
  }

  Inputs allocate_inputs(Parts& parts) const {
    const Shape& shape = decoder_.weights.shape;
    const size_t widest = static_cast<size_t>(shape.ffn > shape.hidden ? shape.ffn : shape.hidden);
    const size_t groups = (widest + 63) / 64;  // the smallest group has 64 inputs
    Inputs inputs;
    inputs.bytes = parts.allocate<uint8_t>(groups * kPassRows * kGroupBytes);
    inputs.scales = parts.allocate<float>(groups * kPassRows);
    inputs.sums = parts.allocate<int32_t>(groups * kPassRows);
    return inputs;
  }

  void lay_out_workspace(uint8_t* begin) {
    const Weights& weights = decoder_.weights;
    const size_t hidden = static_cast<size_t>(weights.shape.hidden), ffn = static_cast<size_t>(weights.shape.ffn);
    const size_t widest_head = static_cast<size_t>((3 * weights.head + kTile - 1) / kTile * kTile);
    Parts parts(begin);
    positions_ = parts.allocate<float>(static_cast<size_t>(max_steps_) * hidden);
    decoder_.positions = positions_;
    decoder_.x = parts.allocate<float>(kPassRows * hidden);
    decoder_.attended = parts.allocate<float>(kPassRows * hidden);
    decoder_.inner = parts.allocate<float>(kPassRows * ffn);
    decoder_.inputs = allocate_inputs(parts);
    for (Scratch& scratch : scratch_) {
      scratch.inputs = allocate_inputs(parts);
      // append_kv() may read beyond the last value
      scratch.values = parts.allocate<float>(kPassRows * widest_head + kLanes);
      scratch.normed = parts.allocate<float>(hidden);
      scratch.normed_inputs = allocate_inputs(parts);
      scratch.product = parts.allocate<float>(((hidden + kTile - 1) / kTile * kTile + kLanes) * kLanes);
      parts.allocate<uint8_t>(128);  // so that no two threads share a cache line
    }
    workspace_bytes_ = parts.used();
  }

  // Sinusoidal positions in MusicGen's layout: cosines in the first half, sines in the second, with the frequencies
  // 10000^(-i / (half - 1)). They are rounded to float at the same places as in the reference.
  void fill_positions() {
    const int hidden = decoder_.weights.shape.hidden, half = hidden / 2;
    const float step = static_cast<float>(-std::log(10000.0) / (half - 1));
    std::vector<float> frequency(static_cast<size_t>(half));
    for (int i = 0; i < half; ++i) {
      const float exponent = static_cast<float>(i) * step;
      frequency[static_cast<size_t>(i)] = static_cast<float>(std::exp(static_cast<double>(exponent)));
    }
    for (int position = 0; position < max_steps_; ++position) {
      float* row = positions_ + static_cast<size_t>(position) * static_cast<size_t>(hidden);
      for (int i = 0; i < half; ++i) {
        const float angle = static_cast<float>(position) * frequency[static_cast<size_t>(i)];
        row[i] = static_cast<float>(std::cos(static_cast<double>(angle)));
        row[half + i] = static_cast<float>(std::sin(static_cast<double>(angle)));
      }
    }
  }

  const Kernels* kernels_;
  Decoder decoder_{};
  Threads threads_;
  std::vector<Layer> layers_;
  std::vector<Scratch> scratch_;
  Arena weight_memory_, kv_memory_, workspace_;
  float* positions_ = nullptr;
  size_t workspace_bytes_ = 0, row_bytes_ = 0;
  int rows_, max_steps_, kv_blocks_ = 0;
  std::vector<Arena> cross_kv_;
  std::vector<int> cross_lengths_;
  std::vector<FoldedText> folded_;
  // for run_steps(): the rows of a step, the codes drawn for each request, scratch memory of each thread
  std::vector<musicgen_row> table_;
  std::vector<int32_t> codes_;
  std::vector<SamplingScratch> sampling_scratch_;
  std::atomic<bool> locked_{false};
};

}  // namespace
}  // namespace musicgen

using musicgen::Handle;

namespace {

#if defined(MUSICGEN_FAULTS)
std::atomic<int32_t> fault_to_throw{0};

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
int32_t without_exceptions(const Work& work) noexcept {
  try {
    throw_what_a_test_wants();
    return work();
  } catch (const std::bad_alloc&) {
    return MUSICGEN_NO_MEMORY;
  } catch (...) {
    return MUSICGEN_FAILED;
  }
}

// The same for a call with a decoder, which one thread at a time may use.
template <class Work>
int32_t with_decoder(void* decoder, const Work& work) noexcept {
  if (decoder == nullptr) return MUSICGEN_BAD_CALL;
  Handle& handle = *static_cast<Handle*>(decoder);
  if (!handle.try_lock()) return MUSICGEN_BUSY;
  const int32_t code = without_exceptions([&] { return work(handle); });
  handle.unlock();
  return code;
}

}  // namespace

void* musicgen_open(const musicgen_shape* given, int32_t precision, int32_t rows, int32_t max_steps, int32_t threads,
                    const char* isa, char* error, size_t error_bytes) {
  void* opened = nullptr;
  const char* why = nullptr;
  const int32_t code = without_exceptions([&] {
    std::string complaint = "there is no shape";
    if (given != nullptr) {
      musicgen::Shape shape;
      std::memcpy(&shape, given, sizeof shape);
      complaint = musicgen::complaint(shape, precision, rows, max_steps, threads);
      if (complaint.empty()) {
        const musicgen::Kernels* kernels = musicgen::choose(isa == nullptr ? "" : isa, complaint);
        if (kernels != nullptr) opened = new Handle(shape, precision, rows, max_steps, threads, kernels);
      }
    }
    if (error != nullptr) std::snprintf(error, error_bytes, "%s", complaint.c_str());
    return MUSICGEN_DONE;
  });
  if (code != MUSICGEN_DONE) why = code == MUSICGEN_NO_MEMORY ? "out of memory" : "it failed inside";
  if (why != nullptr && error != nullptr) std::snprintf(error, error_bytes, "%s", why);
  return opened;
}

void musicgen_close(void* decoder) {
  without_exceptions([&] {
    delete static_cast<Handle*>(decoder);
    return MUSICGEN_DONE;
  });
}

const char* musicgen_isa(const void* decoder) {
  return decoder == nullptr ? "" : static_cast<const Handle*>(decoder)->isa();
}

void* musicgen_weights(void* decoder, size_t* bytes) {
  if (decoder == nullptr || bytes == nullptr) return nullptr;
  const musicgen::Arena& weights = static_cast<Handle*>(decoder)->weights();
  *bytes = weights.bytes();
  return weights.data();
}

const float* musicgen_embeddings(const void* decoder) {
  return decoder == nullptr ? nullptr : static_cast<const Handle*>(decoder)->embeddings();
}

int32_t musicgen_pack(void* decoder, int32_t tensor, int32_t layer, const float* values) {
  if (values == nullptr) return MUSICGEN_BAD_TENSOR;
  return with_decoder(decoder, [&](Handle& handle) { return handle.pack(tensor, layer, values); });
}

int32_t musicgen_prefill_cross(void* decoder, int32_t row, const float* encoder_states, int32_t length) {
  if (encoder_states == nullptr && length != 0) return MUSICGEN_BAD_CALL;
  return with_decoder(decoder, [&](Handle& handle) { return handle.prefill_cross(row, encoder_states, length); });
}

int32_t musicgen_step(void* decoder, int32_t count, const musicgen_row* rows, float* scores) {
  if (count < 0 || (count > 0 && rows == nullptr)) return MUSICGEN_BAD_CALL;
  for (int32_t i = 0; i < count; ++i)
    if (rows[i].scores >= 0 && scores == nullptr) return MUSICGEN_BAD_CALL;
  return with_decoder(decoder, [&](Handle& handle) { return handle.step(count, rows, scores); });
}

int32_t musicgen_run_steps(void* decoder, int32_t count, musicgen_request* requests, int32_t steps,
                           const int32_t* const* stops, int32_t stop_count, float* scores) {
  if (count < 0 || (count > 0 && (requests == nullptr || scores == nullptr))) return MUSICGEN_BAD_CALL;
  if (stop_count < 0 || (stop_count > 0 && stops == nullptr)) return MUSICGEN_BAD_CALL;
  for (int32_t i = 0; i < stop_count; ++i)
    if (stops[i] == nullptr) return MUSICGEN_BAD_CALL;
  for (int32_t i = 0; i < count; ++i)
    if (requests[i].columns == nullptr || requests[i].open == nullptr || requests[i].uniform == nullptr)
      return MUSICGEN_BAD_CALL;
  return with_decoder(
      decoder, [&](Handle& handle) { return handle.run_steps(count, requests, steps, stops, stop_count, scores); });
}

int32_t musicgen_draw(const musicgen_sampling* how, const float* conditional, const float* unconditional,
                      const uint8_t* used, double uniform, int32_t vocabulary, int32_t* code) {
  if (how == nullptr || conditional == nullptr || code == nullptr || vocabulary < 1) return MUSICGEN_BAD_CALL;
  return without_exceptions([&] {
    musicgen::SamplingScratch scratch(vocabulary);
    *code = musicgen::draw(*how, conditional, unconditional, used, uniform, scratch);
    return *code < 0 ? MUSICGEN_NO_NUMBERS : MUSICGEN_DONE;
  });
}

void musicgen_abi(int32_t* sizes) {
  if (sizes == nullptr) return;
  const size_t ours[MUSICGEN_ABI] = {sizeof(musicgen_shape), sizeof(musicgen_row), sizeof(musicgen_sampling),
                                     sizeof(musicgen_request), musicgen::kTensors};
  for (int i = 0; i < MUSICGEN_ABI; ++i) sizes[i] = static_cast<int32_t>(ours[i]);
}

#if defined(MUSICGEN_FAULTS)
void musicgen_fail_next(int32_t how) { fault_to_throw = how; }
#endif
