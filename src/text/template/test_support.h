// SPDX-License-Identifier: Apache-2.0
//
// What the tests of templates share: rendering with a JSON text as context, and tables of templates
// with the text they must give.
#pragma once

#include <chrono>
#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "text/template/chat_template.h"

namespace omg::jinja {

/// The context that test tables use.
inline constexpr std::string_view kTestContext = R"({
  "a": 1, "b": 2.5, "neg": -7, "t": true, "f": false, "n": null, "e": "", "z": 0, "fl": 1e100,
  "s": "Hello World", "u": "ünï 日本🙂 ß", "l": [3, 1, 2], "ls": ["b", "A", "c", "a"],
  "d": {"x": 1, "y": [1, 2], "items": "I", "Z": null},
  "m": [{"role": "user", "content": "hi", "n": 2}, {"role": "assistant", "content": "yo", "n": 1},
        {"role": "user", "content": "hm", "n": 3, "tool_calls": []}],
  "h": "<a href='x'>&amp; \"q\"</a>",
  "nested": {"a": {"b": [{"c": 5}]}},
  "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}]
})";

inline std::string render(std::string_view source, const RenderOptions& options = {},
                          std::string_view context = kTestContext) {
  const json::value value = parse_json(context, "context");
  return ChatTemplate::parse(source).render(value.as_object(), options);
}

/// The message of the error that the template ends with; empty where it ends well.
inline std::string error_of(std::string_view source) {
  try {
    render(source);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
    return error.what();
  }
  return "";
}

struct Example {
  std::string_view source;
  std::string_view output;
};

/// Renders each template at noon of 31 January 2026.
inline void check_templates(const std::vector<Example>& examples) {
  RenderOptions options;
  options.now = std::chrono::sys_days{std::chrono::year{2026} / 1 / 31} + std::chrono::hours{12};
  for (const auto& [source, output] : examples) {
    try {
      EXPECT_EQ(render(source, options), output) << source;
    } catch (const Error& error) {
      ADD_FAILURE() << source << "\n  " << error.what();
    }
  }
}

/// The same for expressions.
inline void check_expressions(const std::vector<Example>& examples) {
  for (const auto& [source, output] : examples) {
    const std::string whole = "{{ " + std::string(source) + " }}";
    check_templates({{whole, output}});
  }
}

/// Each template must end with an error of the caller's kind, parsed or rendered.
inline void check_errors(const std::vector<std::string_view>& sources) {
  for (const std::string_view source : sources) EXPECT_NE(error_of(source), "") << source;
}

}  // namespace omg::jinja
