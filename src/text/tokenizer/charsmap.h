// SPDX-License-Identifier: Apache-2.0
//
// SentencePiece's precompiled normalisation ("precompiled_charsmap"): a double array from byte
// strings to their replacements. Layout, little-endian: u32 size of the array in bytes, its units
// (u32), then the replacements, each ended by a zero byte. Source of the units' encoding:
// darts-clone, https://github.com/s-yata/darts-clone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace omg {

/// Immutable after construction; keeps no views.
class Charsmap {
 public:
  /// Replaces nothing.
  Charsmap() = default;
  /// Error(kCorrupt) naming `what` when the sizes do not fit. Links of the array are checked as
  /// they are followed; one that leads out of it ends the search.
  Charsmap(std::string_view bytes, std::string_view what);

  struct Match {
    size_t length;
    std::string_view replacement;  // lives as long as the map; at most 1024 bytes
  };
  /// The longest known prefix of `text`.
  std::optional<Match> longest(std::string_view text) const { return find(text, true); }
  std::optional<Match> shortest(std::string_view text) const { return find(text, false); }

 private:
  std::optional<Match> find(std::string_view text, bool longest) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace omg
