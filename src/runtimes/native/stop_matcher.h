// SPDX-License-Identifier: Apache-2.0
//
// Finds stop strings in text that arrives in pieces. What may still become a stop string is held
// back, so none of its text is ever shown, and the result does not depend on where the pieces were
// cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace omg {

/// The first stop string to be complete wins; of several that end at the same byte, the longest.
/// Not thread-safe.
class StopMatcher {
 public:
  /// The strings are not empty.
  explicit StopMatcher(const std::vector<std::string>& stops);

  /// Takes more text; returns what has become certain to precede any stop string. After a match all
  /// further text is dropped.
  std::string push(std::string_view text);
  /// The text ends: returns what was held back.
  std::string finish();
  /// The stop string that was met, or null.
  const std::string* matched() const { return matched_; }

 private:
  /// A stop string as an automaton of Knuth, Morris and Pratt: `state` bytes of it are the end of
  /// the text so far.
  struct Pattern {
    std::string text;
    std::vector<uint32_t> fallback;  // longest proper border of each prefix
    size_t state = 0;

    void advance(char byte);
  };

  std::vector<Pattern> patterns_;
  std::string held_;
  const std::string* matched_ = nullptr;
};

}  // namespace omg
