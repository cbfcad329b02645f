// SPDX-License-Identifier: Apache-2.0
//
// Patterns of tokenizer.json files: literal strings, and regular expressions in the dialect of
// Oniguruma (Ruby's), translated for PCRE2.
// Source: https://github.com/kkos/oniguruma/blob/master/doc/RE
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/huggingface/json_node.h"

namespace omg::huggingface {

/// A match, or what lies between two. Stretches lie side by side and cover the text.
struct Stretch {
  size_t end = 0;
  bool is_match = false;
};

/// Immutable after construction: many threads may match at once, each with its own Matcher.
class Pattern {
 public:
  virtual ~Pattern() = default;

  /// Memory of one call of encode(): not thread-safe. The pattern must outlive it.
  class Matcher {
   public:
    virtual ~Matcher() = default;
    /// Appends the stretches of `text`; an empty match is a stretch of no length. Never fails: a
    /// byte that is not UTF-8 counts as U+FFFD, and where a pattern exhausts its limits the rest of
    /// the text has no match.
    virtual void find_all(std::string_view text, std::vector<Stretch>& stretches) = 0;
  };
  virtual std::unique_ptr<Matcher> matcher() const = 0;
};

/// `text` is not empty.
std::unique_ptr<Pattern> make_literal(std::string text);
/// Error(kUnsupported) naming `where` and what of `expression` there is no translation for.
std::unique_ptr<Pattern> make_regular_expression(std::string_view expression,
                                                 const JsonNode& where);
/// What files write as {"String": "..."} or {"Regex": "..."}, or as a string.
std::unique_ptr<Pattern> read_pattern(const JsonNode& node);

/// The expression in PCRE2's dialect. Throws std::string: what has no translation.
std::string translate_expression(std::string_view expression);

}  // namespace omg::huggingface
