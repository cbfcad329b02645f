// SPDX-License-Identifier: Apache-2.0
#include "formats/convert/ordered_work.h"

#include <atomic>
#include <chrono>
#include <gtest/gtest.h>
#include <stdexcept>
#include <thread>
#include <vector>

namespace omg {
namespace {

struct Shape {
  size_t count;
  size_t threads;
  size_t slots;
};

TEST(OrderedWork, EveryPieceIsUsedOnceAndInOrder) {
  for (const auto& [count, threads, slots] :
       {Shape{0, 1, 1}, Shape{1, 4, 2}, Shape{100, 1, 1}, Shape{100, 3, 1}, Shape{1000, 4, 8}}) {
    std::vector<size_t> slot_contents(slots);
    std::vector<size_t> seen;
    run_in_order({count, threads, slots,
                  [&](size_t piece, size_t slot, size_t) { slot_contents[slot] = piece * 3; },
                  [&](size_t piece, size_t slot) {
                    EXPECT_EQ(slot_contents[slot], piece * 3);
                    seen.push_back(piece);
                  }});
    ASSERT_EQ(seen.size(), count);
    for (size_t i = 0; i < count; ++i) EXPECT_EQ(seen[i], i);
  }
}

TEST(OrderedWork, ASlowFirstPieceHoldsTheOthersToTheirSlots) {
  std::atomic<size_t> produced = 0;
  size_t most = 0;
  run_in_order({50, 4, 6,
                [&](size_t piece, size_t, size_t) {
                  if (piece == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
                  ++produced;
                },
                [&](size_t piece, size_t) { most = std::max(most, produced.load() - piece); }});
  EXPECT_LE(most, 6u);
  EXPECT_EQ(produced, 50u);
}

TEST(OrderedWork, FailuresOfEitherSideComeOut) {
  const auto nothing = [](size_t, size_t, size_t) {};
  std::atomic<size_t> used = 0;
  EXPECT_THROW(run_in_order({1000, 3, 4,
                             [](size_t piece, size_t, size_t) {
                               if (piece == 40) throw std::runtime_error("produce");
                             },
                             [&](size_t, size_t) { ++used; }}),
               std::runtime_error);
  EXPECT_LE(used, 40u);
  EXPECT_THROW(run_in_order({1000, 3, 4, nothing,
                             [](size_t piece, size_t) {
                               if (piece == 7) throw std::logic_error("consume");
                             }}),
               std::logic_error);
}

}  // namespace
}  // namespace omg
