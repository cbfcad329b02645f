// SPDX-License-Identifier: Apache-2.0
//
// Another program, run to its end, with what it printed.
#pragma once

#include <string>
#include <vector>

#include "base/cancellation.h"

namespace omg {

struct ProcessResult {
  int exit_code = 0;  // 128 + the signal's number where one ended it, as shells say it
  std::string out;    // of each of the two, the first 16 MiB
  std::string err;
};

/// Runs `arguments` (the first is the program, looked for in PATH unless it has a slash) with no
/// input, and waits. A program that cannot be started is an Error that says why (kNotFound where
/// there is none). When cancelled, ends the program, waits for that, and throws Error(kCancelled).
ProcessResult run_process(const std::vector<std::string>& arguments,
                          const CancellationToken& cancellation);

}  // namespace omg
