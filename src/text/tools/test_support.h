// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the output parser share.
#pragma once

#include <gtest/gtest.h>
#include <string>
#include <string_view>

#include "text/tools/event_log.h"

namespace omg {

/// Cut at every byte, and at all of them, the text gives the same events.
inline void check_all_cuts(const ToolFormat& format, const OutputParserOptions& options,
                           std::string_view text) {
  const std::string whole = log_of_cuts(format, options, text, text.size(), text.size() + 1);
  for (size_t cut = 0; cut < text.size(); ++cut) {
    ASSERT_EQ(log_of_cuts(format, options, text, cut, text.size() + 1), whole) << "cut at " << cut;
  }
  ASSERT_EQ(log_of_cuts(format, options, text, 0, 1), whole) << "byte by byte";
  ASSERT_EQ(log_of_cuts(format, options, text, 1, 3), whole) << "three bytes at a time";
}

}  // namespace omg
