// SPDX-License-Identifier: Apache-2.0
//
// Events as text, for tests and fuzzers that compare them.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "text/tools/output_parser.h"

namespace omg {

/// With neighbours of one kind joined: what must not depend on cuts.
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
  first = std::min(first, text.size());
  parser.feed(text.substr(0, first), events);
  for (size_t at = first; at < text.size(); at += step) parser.feed(text.substr(at, step), events);
  parser.finish(events);
  return event_log(events);
}

}  // namespace omg
