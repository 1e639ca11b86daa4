// One contiguous block of memory, in huge pages where the system has them, zero until it is written.
#pragma once
#include <cstddef>
#include <cstdint>

namespace musicgen {

class Arena {
 public:
  Arena() = default;
  explicit Arena(size_t bytes);  // throws std::bad_alloc
  ~Arena();
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;

  uint8_t* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  uint8_t* mapped_ = nullptr;
  size_t mapped_bytes_ = 0;
  uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
};

// Bytes between two parts. Under the address sanitizer they are poisoned, so that an access between parts is reported.
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kGuard = 64;
#else
constexpr size_t kGuard = 0;
#endif
void forbid(uint8_t* begin, size_t bytes);

// Allocates parts of a block of memory one after another, each aligned to a cache line. With null it only counts bytes.
class Parts {
 public:
  explicit Parts(uint8_t* begin) : begin_(begin) {}

  template <class T>
  T* allocate(size_t count, size_t alignment = 64) {
    used_ = (used_ + alignment - 1) / alignment * alignment;
    const size_t offset = used_;
    used_ += count * sizeof(T) + kGuard;
    if (begin_ == nullptr) return nullptr;
    if (kGuard > 0) forbid(begin_ + used_ - kGuard, kGuard);
    return reinterpret_cast<T*>(begin_ + offset);
  }

  size_t used() const { return used_; }

 private:
  uint8_t* begin_;
  size_t used_ = 0;
};

}  // namespace musicgen
