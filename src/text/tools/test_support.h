// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the output parser share.
#pragma once

#include <gtest/gtest.h>
#include <string>
#include <string_view>

#include "text/tools/output_parser.h"

namespace omg {

/// Events as text, with neighbours of one kind joined: what must not depend on cuts.
inline std::string event_log(const OutputEvents& events) {
  std::string log;
  const OutputEvent* last = nullptr;
  for (const OutputEvent& event : events) {
    const bool joins = last != nullptr && last->kind == event.kind && last->call == event.call &&
                       !event.text.empty();
    if (!joins) {
      static constexpr const char* kNames[] = {"content",   "reasoning", "begin",
                                               "arguments", "end",       "abandoned"};
      log.append(1, '\n').append(kNames[static_cast<int>(event.kind)]).append(1, ' ');
      log.append(std::to_string(event.call)).append(1, ' ').append(event.name).append(1, ' ');
      log.append(event.id).append(": ");
    }
    log += event.text;
    last = &event;
  }
  return log;
}

/// Feeds `text` cut at `first` and then every `step` bytes.
inline std::string log_of_cuts(const ToolFormat& format, const OutputParserOptions& options,
                               std::string_view text, size_t first, size_t step) {
  OutputParser parser(format, options);
  OutputEvents events;
  parser.feed(text.substr(0, first), events);
  for (size_t at = first; at < text.size(); at += step) parser.feed(text.substr(at, step), events);
  parser.finish(events);
  return event_log(events);
}

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
