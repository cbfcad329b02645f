// SPDX-License-Identifier: Apache-2.0
//
// Cuts text into the words that byte-level BPE merges within, by the steps of a pre-tokenizer.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "text/tokenizer/pre_tokenizer.h"

namespace omg {

/// Immutable after construction; many threads may split at once.
class Splitter {
 public:
  /// Compiles the patterns.
  explicit Splitter(std::span<const SplitStep> steps);
  ~Splitter();
  Splitter(const Splitter&) = delete;

  /// The ends (offsets into `text`, ascending, the last one text.size()) of the words, which lie
  /// side by side. Never fails: a byte that is not UTF-8 counts as U+FFFD, and a stretch on which a
  /// pattern exhausts PCRE2's limits stays one word.
  void split(std::string_view text, std::vector<size_t>& ends) const;

 private:
  class Pattern;
  struct Step;
  void split_steps(std::string_view text, std::vector<size_t>& ends) const;
  std::vector<Step> steps_;
  bool needs_utf8_ = false;  // there are patterns
};

}  // namespace omg
