// How fast this machine reads its memory: threads that add up a large block in huge pages, each its own part.
// Compiled by _bandwidth.py.
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { kMostThreads = 64, kSums = 8, kPasses = 5 };

typedef uint64_t Words __attribute__((vector_size(64)));

static Words* block;
static size_t block_bytes;
static volatile uint64_t kept;  // so that nothing is left out as useless

typedef struct {
  const Words* begin;
  size_t count;
  pthread_barrier_t* together;
  double started[kPasses], ended[kPasses];
} Part;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void* read_part(void* given) {
  Part* part = given;
  for (int pass = 0; pass < kPasses; ++pass) {
    pthread_barrier_wait(part->together);
    part->started[pass] = now();
    Words sums[kSums] = {{0}};
    for (size_t i = 0; i + kSums <= part->count; i += kSums)
      for (int j = 0; j < kSums; ++j) {
        __builtin_prefetch(part->begin + i + j + 64);
        sums[j] += part->begin[i + j];
      }
    Words sum = {0};
    for (int j = 0; j < kSums; ++j) sum += sums[j];
    kept = sum[0];
    part->ended[pass] = now();
  }
  return 0;
}

// Bytes a second of the quickest of some passes over `bytes`, far more than a cache holds; 0 when there is no memory.
double bandwidth(int threads, size_t bytes) {
  if (threads < 1 || threads > kMostThreads) return 0;
  if (block_bytes != bytes) {
    if (block) munmap(block, block_bytes);
    block = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    block_bytes = block == MAP_FAILED ? 0 : bytes;
    if (!block_bytes) return block = 0, 0;
#ifdef MADV_HUGEPAGE
    madvise(block, bytes, MADV_HUGEPAGE);
#endif
    for (size_t i = 0; i < bytes / sizeof(uint64_t); ++i) ((uint64_t*)block)[i] = i;
  }
  pthread_t started[kMostThreads];
  Part parts[kMostThreads];
  pthread_barrier_t together;
  pthread_barrier_init(&together, 0, (unsigned)threads);
  const size_t count = bytes / sizeof(Words) / (size_t)threads;
  for (int i = 0; i < threads; ++i) {
    parts[i] = (Part){.begin = block + (size_t)i * count, .count = count, .together = &together};
    pthread_create(&started[i], 0, read_part, &parts[i]);
  }
  for (int i = 0; i < threads; ++i) pthread_join(started[i], 0);
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    double first = parts[0].started[pass], last = parts[0].ended[pass];
    for (int i = 1; i < threads; ++i) {
      if (parts[i].started[pass] < first) first = parts[i].started[pass];
      if (parts[i].ended[pass] > last) last = parts[i].ended[pass];
    }
    const double speed = (double)(count * (size_t)threads * sizeof(Words)) / (last - first);
    if (speed > best) best = speed;
  }
  pthread_barrier_destroy(&together);
  return best;
}
