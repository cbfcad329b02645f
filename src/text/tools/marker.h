// SPDX-License-Identifier: Apache-2.0
//
// Markers: the fixed texts round tool calls and reasoning ("<tool_call>", "[TOOL_CALLS]"), found in
// text that arrives in pieces.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace omg {

enum class Match { kNo, kPartial, kFull };

struct MarkerMatch {
  Match match = Match::kNo;
  size_t length = 0;  // bytes of the text, where it is full
};

/// Longest marker that is worth believing in.
inline constexpr size_t kMaxMarkerBytes = 256;
/// White space inside a marker may be missing or be more, up to this: models are not exact there.
inline constexpr size_t kMaxMarkerSpace = 32;

bool is_marker_space(char c);
std::string_view trim_space(std::string_view text);

/// Whether `text` begins with the marker. White space in the marker stands for 0 to kMaxMarkerSpace
/// bytes of white space in the text. kPartial: more text is needed to say; never when `final`.
MarkerMatch match_marker(std::string_view marker, std::string_view text, bool final);

/// Some markers to be looked for at once.
class MarkerSet {
 public:
  static constexpr size_t kNone = static_cast<size_t>(-1);

  /// Empty markers are left out, but keep their index.
  explicit MarkerSet(std::vector<std::string> markers = {});

  struct Found {
    size_t position = 0;   // where a marker begins, or may begin; text.size() where none does
    size_t index = kNone;  // which one, where it is whole
    size_t length = 0;
  };
  /// The first place at or after `from` where a marker stands, or where one may when more text
  /// comes. Of two at one place the longer wins. Time is linear in the text.
  Found find(std::string_view text, size_t from, bool final) const;
  /// The same at one place only: position is `at`, or text.size() where nothing can match.
  Found match_at(std::string_view text, size_t at, bool final) const;
  bool empty() const { return first_bytes_.empty(); }

 private:
  std::vector<std::string> markers_;
  std::string first_bytes_;
};

}  // namespace omg
