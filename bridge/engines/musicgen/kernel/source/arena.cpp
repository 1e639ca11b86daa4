#include "arena.h"

#include <sys/mman.h>

#include <new>
#include <utility>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace musicgen {

namespace {
constexpr size_t kHugePage = size_t{2} << 20;
}

void forbid(uint8_t* begin, size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(begin, bytes);
#else
  static_cast<void>(begin), static_cast<void>(bytes);
#endif
}

Arena::Arena(size_t bytes) : mapped_bytes_(bytes + kHugePage), bytes_(bytes) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#if defined(MAP_NORESERVE)
  flags |= MAP_NORESERVE;  // rows that are never used take no memory
#endif
  void* mapped = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  mapped_ = static_cast<uint8_t*>(mapped);
  data_ = reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(mapped_) + kHugePage - 1) / kHugePage * kHugePage);
#if defined(MADV_HUGEPAGE)
  madvise(data_, bytes_, MADV_HUGEPAGE);  // only a hint: without huge pages it is slower
#endif
}

Arena::~Arena() {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(mapped_, mapped_bytes_);
#endif
  if (mapped_ != nullptr) munmap(mapped_, mapped_bytes_);
}

Arena::Arena(Arena&& other) noexcept { *this = std::move(other); }

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(mapped_, other.mapped_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace musicgen
