// Threads that run a step together: a barrier that first spins and then sleeps, and work stealing: a thread that has
// finished its own units takes units of the others.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace musicgen {

// No function is defined here: see model.h.
class Threads {
 public:
  using Work = void (*)(void* context, int thread);

  explicit Threads(int count);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  int count() const;

  // Calls work(context, i) for i in 0..count-1, each on its thread; 0 is the caller's. Returns when all have returned.
  void run(Work work, void* context);

  // A barrier for all threads. A waiting thread prefetches `bytes` bytes from `upcoming` on, which it will read next.
  void arrive_and_wait(const void* upcoming = nullptr, size_t bytes = 0);

  // The next of `units` units for this thread, or -1 when none is left: first its own share in order, then what is left
  // of the other threads'. Every thread calls it until it returns -1 and then arrive_and_wait(), before any thread
  // calls it for other work.
  int next_unit(int thread, int units);

  // The first unit of this thread's share.
  int first(int thread, int units) const;

 private:
  struct alignas(128) Share {
    std::atomic<int> next{0};
    int finished = 0;  // how many threads' shares this thread has found empty
  };

  void serve(int thread);

  const int count_;
  std::vector<Share> shares_;
  std::vector<std::thread> threads_;

  // the barrier
  alignas(128) std::atomic<int> arrived_{0};
  alignas(128) std::atomic<uint32_t> round_{0};
  std::atomic<int> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable changed_;

  // the current work
  alignas(128) std::atomic<uint32_t> work_count_{0};
  std::atomic<int> idle_{0};
  std::mutex work_mutex_;
  std::condition_variable work_ready_;
  Work work_ = nullptr;
  void* context_ = nullptr;
  bool stopping_ = false;
};

}  // namespace musicgen
