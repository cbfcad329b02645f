// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/machine_limits.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <sys/mman.h>

#include "base/error.h"
#include "engine/cpu/peak_loops.h"

namespace omg {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kBufferBytes = size_t{256} << 20;  // far more than any cache
constexpr size_t kPieceBytes = size_t{1} << 20;
constexpr size_t kWordsPerPiece = kPieceBytes / sizeof(uint64_t);
// The hardware's prefetchers stop at the ends of pages; asking for a line half a page ahead read 10
// to 20 % more here. Nothing cleverer (several streams at once, large pages) read more than this.
constexpr size_t kWordsAhead = 256;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

uint64_t sum_words(const uint64_t* words, size_t count) {
  uint64_t sums[8] = {};
  for (size_t i = 0; i < count; i += 8) {
    __builtin_prefetch(words + i + kWordsAhead);
    for (size_t j = 0; j < 8; ++j) sums[j] += words[i + j];
  }
  uint64_t total = 0;
  for (const uint64_t sum : sums) total += sum;
  return total;
}

/// Memory that really goes back at the end, so that the peak of a process does not keep it.
class MappedBytes {
 public:
  explicit MappedBytes(size_t size) : size_(size) {
    data_ = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data_ == MAP_FAILED) throw system_error("cannot get memory to measure reading", errno);
  }
  ~MappedBytes() { ::munmap(data_, size_); }
  MappedBytes(const MappedBytes&) = delete;
  MappedBytes& operator=(const MappedBytes&) = delete;
  void* data() const { return data_; }

 private:
  const size_t size_;
  void* data_;
};

/// The compiler must believe that someone wants the value.
void use(uint64_t value) {
  asm volatile("" : : "r"(value));
}

/// Operations per second of a loop, on all workers; the best of some runs.
double measure_peak(const PeakLoop& loop, Parallel& parallel) {
  if (loop.run == nullptr) return 0;
  constexpr size_t kSteps = 5000;  // some tens of microseconds
  const size_t ranges = parallel.worker_count() * 32;
  double best = 0;
  for (int pass = 0; pass < 10; ++pass) {
    const auto start = Clock::now();
    parallel.run(ranges, 1, [&](size_t begin, size_t end, size_t) {
      for (size_t range = begin; range < end; ++range) loop.run(kSteps);
    });
    const double operations = double(ranges) * double(kSteps) * loop.operations_per_step;
    best = std::max(best, operations / seconds_since(start));
  }
  return best;
}

}  // namespace

double measure_read_bandwidth(Parallel& parallel) {
  const MappedBytes buffer(kBufferBytes + kWordsAhead * sizeof(uint64_t));
  auto* const words = static_cast<uint64_t*>(buffer.data());
  const size_t pieces = kBufferBytes / kPieceBytes;
  parallel.run(pieces, 1, [&](size_t begin, size_t end, size_t) {
    std::fill(words + begin * kWordsPerPiece, words + end * kWordsPerPiece, uint64_t{1});
  });
  double best = 0;
  const auto first = Clock::now();
  for (int pass = 0; pass < 2 || (pass < 8 && seconds_since(first) < 0.05); ++pass) {
    const auto start = Clock::now();
    parallel.run(pieces, 1, [&](size_t begin, size_t end, size_t) {
      use(sum_words(words + begin * kWordsPerPiece, (end - begin) * kWordsPerPiece));
    });
    best = std::max(best, double(kBufferBytes) / seconds_since(start));
  }
  return best;
}

MachineLimits measure_machine_limits(Isa isa, Parallel& parallel) {
  const PeakLoops loops = peak_loops(isa);
  MachineLimits limits;
  limits.read_bytes_per_second = measure_read_bandwidth(parallel);
  limits.int8_ops_per_second = measure_peak(loops.int8, parallel);
  limits.float_ops_per_second = measure_peak(loops.float32, parallel);
  return limits;
}

}  // namespace omg
