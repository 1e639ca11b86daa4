// Threads that work on a step together: a barrier that first spins and then sleeps, and units of work that a thread
// which has finished takes over from the others.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace musicgen {

// No function has its body here: see model.h.
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

  // All threads meet here. Who waits fetches what it will read next, `bytes` from `upcoming` on, into its cache.
  void meet(const void* upcoming = nullptr, size_t bytes = 0);

  // The next of `units` units for this thread, or -1 when all are taken: first its own share in order, then what is
  // left of the others'. Every thread asks until -1, then meets, before anybody asks about other work.
  int take(int thread, int units);

  // The first unit of this thread's share.
  int first(int thread, int units) const;

 private:
  struct alignas(128) Share {
    std::atomic<int> taken{0};
    int finished = 0;  // how many threads' shares this one has seen the end of
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

  // what is to be done
  alignas(128) std::atomic<uint32_t> order_{0};
  std::atomic<int> idle_{0};
  std::mutex order_mutex_;
  std::condition_variable ordered_;
  Work work_ = nullptr;
  void* context_ = nullptr;
  bool leaving_ = false;
};

}  // namespace musicgen
