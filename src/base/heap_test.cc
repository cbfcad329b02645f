// SPDX-License-Identifier: Apache-2.0
#include "base/heap.h"

#include <fstream>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace omg {
namespace {

size_t resident_bytes() {
  size_t pages = 0;
  std::string of_program;
  std::ifstream("/proc/self/statm") >> of_program >> pages;
  return pages * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

/// By the C library.
size_t allocated_bytes() {
#if defined(__GLIBC__)
  return ::mallinfo2().uordblks;
#else
  return 0;
#endif
}

/// Small pieces with one at their end that stays: the heap cannot shrink by itself.
TEST(Heap, FreeMemoryGoesBackToTheSystem) {
  constexpr size_t kPieces = 40'000;
  constexpr size_t kPieceBytes = 1000;
  std::vector<std::unique_ptr<std::string>> pieces;
  for (size_t i = 0; i < kPieces; ++i) {
    pieces.push_back(std::make_unique<std::string>(kPieceBytes, 'x'));
  }
  if (allocated_bytes() < kPieces * kPieceBytes) GTEST_SKIP() << "a sanitizer allocates";
  pieces.erase(pieces.begin(), pieces.end() - 1);
  const size_t before = resident_bytes();
  return_free_memory();
  EXPECT_LT(resident_bytes() + kPieces * kPieceBytes * 9 / 10, before);
  EXPECT_EQ(*pieces.front(), std::string(kPieceBytes, 'x'));
}

}  // namespace
}  // namespace omg
