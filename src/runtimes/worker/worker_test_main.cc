// SPDX-License-Identifier: Apache-2.0
//
// main() of the tests, which is the workers' too.
#include <gtest/gtest.h>

#include "runtimes/worker/testing/hostile_worker.h"

/// The thread sanitizer would let each process that exits sleep a second, and workers exit often.
/// Other builds do not call it.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() {
  return "atexit_sleep_ms=0";
}

int main(int argc, char** argv) {
  omg::testing::become_worker(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
