#include "threads.h"

#include <chrono>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace musicgen {
namespace {

// Longer than a barrier takes when all threads run; short enough not to waste a busy machine's time.
constexpr std::chrono::microseconds kSpin{40};
// Between two calls the caller notifies the readers of the codes, which takes up to half a millisecond.
constexpr std::chrono::microseconds kSpinForWork{600};
constexpr size_t kFetchAtOnce = 256;

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins until `done()` or until the time limit; returns whether it is done.
template <class Done, class Meanwhile>
bool spin(std::chrono::microseconds limit, Done done, Meanwhile meanwhile) {
  const auto end = std::chrono::steady_clock::now() + limit;
  do {
    for (int i = 0; i < 16; ++i) {
      if (done()) return true;
      if (!meanwhile()) relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return done();
}

}  // namespace

Threads::Threads(int count) : count_(count), shares_(static_cast<size_t>(count)) {
  try {
    for (int i = 1; i < count; ++i) threads_.emplace_back(&Threads::serve, this, i);
  } catch (...) {  // no more threads can be started: end the ones that were
    {
      std::lock_guard<std::mutex> lock(work_mutex_);
      stopping_ = true;
      work_count_.fetch_add(1);
    }
    work_ready_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    throw;
  }
}

Threads::~Threads() {
  {
    std::lock_guard<std::mutex> lock(work_mutex_);
    stopping_ = true;
    work_count_.fetch_add(1);
  }
  work_ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Threads::run(Work work, void* context) {
  work_ = work;
  context_ = context;
  work_count_.fetch_add(1);
  if (idle_.load() > 0) {
    std::lock_guard<std::mutex> lock(work_mutex_);
    work_ready_.notify_all();
  }
  work(context, 0);
  arrive_and_wait();
}

void Threads::serve(int thread) {
  uint32_t seen = 0;
  for (;;) {
    const auto has_work = [&] { return work_count_.load() != seen; };
    if (!spin(kSpinForWork, has_work, [] { return false; })) {
      std::unique_lock<std::mutex> lock(work_mutex_);
      idle_.fetch_add(1);  // before wait() checks again: whoever adds work after that check sees it
      work_ready_.wait(lock, has_work);
      idle_.fetch_sub(1);
    }
    ++seen;
    if (stopping_) return;
    work_(context_, thread);
    arrive_and_wait();
  }
}

int Threads::count() const { return count_; }

int Threads::first(int thread, int units) const {
  return static_cast<int>(static_cast<int64_t>(units) * thread / count_);
}

int Threads::next_unit(int thread, int units) {
  Share& own = shares_[static_cast<size_t>(thread)];
  while (own.finished < count_) {
    const int whose = (thread + own.finished) % count_;
    const int unit =
        first(whose, units) + shares_[static_cast<size_t>(whose)].next.fetch_add(1, std::memory_order_relaxed);
    if (unit < first(whose + 1, units)) return unit;
    ++own.finished;
  }
  return -1;
}

void Threads::arrive_and_wait(const void* upcoming, size_t bytes) {
  const uint32_t round = round_.load();
  if (arrived_.fetch_add(1) + 1 == count_) {
    arrived_.store(0);
    for (Share& share : shares_) {  // all other threads are waiting, so none asks for a unit
      share.next.store(0, std::memory_order_relaxed);
      share.finished = 0;
    }
    round_.fetch_add(1);
    if (sleepers_.load() > 0) {
      std::lock_guard<std::mutex> lock(mutex_);
      changed_.notify_all();
    }
    return;
  }
  const char* next = static_cast<const char*>(upcoming);
  const char* end = next + bytes;
  const auto passed = [&] { return round_.load(std::memory_order_acquire) != round; };
  const auto fetch = [&] {
    if (next >= end) return false;
    for (size_t i = 0; i < kFetchAtOnce; i += 64) __builtin_prefetch(next + i, 0, 2);
    next += kFetchAtOnce;
    return true;
  };
  if (spin(kSpin, passed, fetch)) return;
  std::unique_lock<std::mutex> lock(mutex_);
  sleepers_.fetch_add(1);  // before wait() checks again: the last thread to arrive after that check sees it
  changed_.wait(lock, passed);
  sleepers_.fetch_sub(1);
}

}  // namespace musicgen
