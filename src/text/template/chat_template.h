// SPDX-License-Identifier: Apache-2.0
//
// A chat template: the Jinja program that turns a conversation into a prompt, as published with a
// model. Rendered the way transformers does it: trim_blocks, lstrip_blocks, loop controls, `tojson`
// without ASCII escapes, `raise_exception`, `strftime_now`.
// Source: Jinja 3.1 template designer documentation,
// https://jinja.palletsprojects.com/en/3.1.x/templates/
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace omg {

struct RenderOptions {
  /// Local time that `strftime_now` shows; the clock when absent.
  std::optional<std::chrono::sys_seconds> now;
  /// A template that needs more ends with Error(kLimitExceeded).
  size_t max_output_bytes = 32u << 20;
  size_t max_memory_bytes = 64u << 20;
  uint64_t max_steps = 20'000'000;
};

/// Immutable after construction: many threads may render at once.
class ChatTemplate {
 public:
  /// Error(kInvalidArgument) "template line L, column C: why" when it does not parse.
  static ChatTemplate parse(std::string_view source);
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  /// Renders with the context's members as variables (messages, tools, add_generation_prompt,
  /// bos_token, …), in the order their keys have. Error(kInvalidArgument) carries what
  /// raise_exception said, or "template line L: why".
  std::string render(const json::object& context, const RenderOptions& options = {}) const;
  const std::string& source() const;

 private:
  struct Program;
  explicit ChatTemplate(std::unique_ptr<Program> program);
  std::unique_ptr<Program> program_;
};

}  // namespace omg
