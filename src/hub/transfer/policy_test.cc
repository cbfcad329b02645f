// SPDX-License-Identifier: Apache-2.0
//
// Pauses and rates.
#include <gtest/gtest.h>

#include "base/error.h"
#include "hub/transfer/rate.h"
#include "hub/transfer/retry.h"
#include "hub/transfer/testing/fake_clock.h"

namespace omg {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RetryDelay, DoublesUpToItsMost) {
  const RetryOptions options;
  EXPECT_EQ(retry_delay(1, 0, {}, options), milliseconds(500));
  EXPECT_EQ(retry_delay(2, 0, {}, options), milliseconds(1000));
  EXPECT_EQ(retry_delay(5, 0, {}, options), milliseconds(8000));
  EXPECT_EQ(retry_delay(7, 0, {}, options), milliseconds(30'000));
  EXPECT_EQ(retry_delay(1000, 0, {}, options), milliseconds(30'000));
}

TEST(RetryDelay, ChanceTakesOffUpToHalf) {
  const RetryOptions options;
  EXPECT_EQ(retry_delay(2, 0.5, {}, options), milliseconds(750));
  EXPECT_GE(retry_delay(2, 0.999, {}, options), milliseconds(500));
}

TEST(RetryDelay, WaitsWhatTheServerAsksFor) {
  const RetryOptions options;
  EXPECT_EQ(retry_delay(1, 0, seconds(7), options), seconds(7));
  EXPECT_EQ(retry_delay(1, 0.25, seconds(7), options), milliseconds(7250));
}

TEST(RateLimit, SpendsTimeForBytes) {
  testing::FakeClock clock;
  RateLimit limit(clock);
  const CancellationToken token;
  auto begin = clock.now();
  limit.spend(1u << 30, token);
  EXPECT_EQ(clock.now(), begin) << "no limit, no time";
  limit.set(1'000'000);
  begin = clock.now();
  for (int i = 0; i < 50; ++i) limit.spend(100'000, token);
  const double spent = std::chrono::duration<double>(clock.now() - begin).count();
  EXPECT_NEAR(spent, 5.0, 0.2);  // a tenth was saved up
}

TEST(RateLimit, IsSharedAndCanBeCancelled) {
  testing::FakeClock clock;
  RateLimit limit(clock);
  limit.set(1);
  EXPECT_EQ(limit.get(), RateLimit::kLeast);
  CancellationToken token;
  limit.spend(RateLimit::kLeast, token);
  token.cancel();
  EXPECT_THROW(limit.spend(100 * RateLimit::kLeast, token), Error);
}

TEST(RateMeter, MeasuresTheLastSeconds) {
  testing::FakeClock clock;
  RateMeter meter;
  EXPECT_EQ(meter.bytes_per_second(), 0);
  uint64_t bytes = 0;
  for (int i = 0; i < 100; ++i) {
    meter.add(clock.now(), bytes);
    bytes += 1000;
    clock.advance(milliseconds(100));
  }
  EXPECT_NEAR(meter.bytes_per_second(), 10'000, 1);
  for (int i = 0; i < 100; ++i) {  // it stands still
    meter.add(clock.now(), bytes);
    clock.advance(milliseconds(100));
  }
  EXPECT_EQ(meter.bytes_per_second(), 0);
  meter.add(clock.now(), 5);  // begun again
  EXPECT_EQ(meter.bytes_per_second(), 0);
}

}  // namespace
}  // namespace omg
