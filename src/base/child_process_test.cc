// SPDX-License-Identifier: Apache-2.0
#include "base/child_process.h"

#include <chrono>
#include <gtest/gtest.h>
#include <thread>

#include "base/error.h"

namespace omg {
namespace {

ProcessResult shell(const std::string& script) {
  return run_process({"/bin/sh", "-c", script}, CancellationToken());
}

TEST(ChildProcess, GivesBackWhatItPrintsAndItsCode) {
  const ProcessResult result = shell("echo out; echo err >&2; cat; exit 7");
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
}

TEST(ChildProcess, ReadsMoreThanAPipeHolds) {
  const ProcessResult result =
      shell("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; head -c 5 /dev/zero");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out.size(), 1000005u);
  EXPECT_EQ(result.err.size(), 1000000u);
  EXPECT_EQ(shell("head -c 20000000 /dev/zero").out.size(), size_t{16} << 20);
}

TEST(ChildProcess, TellsTheSignal) {
  EXPECT_EQ(shell("kill -9 $$").exit_code, 137);
}

TEST(ChildProcess, PassesArgumentsAsTheyAre) {
  const std::vector<std::string> command = {"/bin/echo", "a b", "$HOME", "'", ""};
  EXPECT_EQ(run_process(command, CancellationToken()).out, "a b $HOME ' \n");
}

TEST(ChildProcess, NoSuchProgram) {
  try {
    run_process({"/no/such/program"}, CancellationToken());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_NE(std::string(error.what()).find("/no/such/program"), std::string::npos);
  }
}

TEST(ChildProcess, CancellationEndsIt) {
  CancellationToken cancellation;
  const auto start = std::chrono::steady_clock::now();
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    cancellation.cancel();
  });
  EXPECT_THROW(run_process({"/bin/sleep", "60"}, cancellation), Error);
  later.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

}  // namespace
}  // namespace omg
