// SPDX-License-Identifier: Apache-2.0
//
// Text as Python sees it, over UTF-8: classes of characters, case mapping, stripping, and search in
// linear time (a hostile template may search "aaa…b" in a million a's).
// Source: Unicode 15 character database through utf8proc; Python's str documentation.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace omg::jinja {

struct CodePoint {
  uint32_t value;
  std::string_view bytes;
};

/// Walks over the code points of valid UTF-8.
class CodePoints {
 public:
  explicit CodePoints(std::string_view text) : text_(text) {}
  bool next(CodePoint& out);
  size_t position() const { return position_; }

 private:
  std::string_view text_;
  size_t position_ = 0;
};

size_t count_code_points(std::string_view text);
/// Byte offset of a code point; text.size() beyond the end.
size_t byte_offset(std::string_view text, size_t code_point);

bool is_space(uint32_t code_point);  // str.isspace, what strip() and split() take away
bool is_line_break(uint32_t code_point);
bool is_alphabetic(uint32_t code_point);
bool is_decimal(uint32_t code_point);
bool is_digit(uint32_t code_point);
bool is_numeric(uint32_t code_point);
bool is_alphanumeric(uint32_t code_point);
bool is_upper(uint32_t code_point);
bool is_lower(uint32_t code_point);
bool is_title(uint32_t code_point);
bool is_printable(uint32_t code_point);
bool is_identifier_start(uint32_t code_point);
bool is_identifier_part(uint32_t code_point);

void append_upper(std::string& out, uint32_t code_point);
void append_lower(std::string& out, uint32_t code_point);
void append_title(std::string& out, uint32_t code_point);
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
/// First character in title case, the others lower.
std::string capitalize(std::string_view text);
std::string casefold(std::string_view text);
/// str.islower and str.isupper: some letter has a case, and none has the other.
bool is_lower_text(std::string_view text);
bool is_upper_text(std::string_view text);

enum class Side : uint8_t { kBoth, kLeft, kRight };

/// Without white space at the sides; without the characters in `characters` where given.
std::string_view strip(std::string_view text, Side side = Side::kBoth);
std::string_view strip(std::string_view text, std::string_view characters, Side side);

using PieceVisitor = std::function<void(std::string_view piece)>;

/// Visits lines without (or with) their ends, as str.splitlines gives them.
void split_lines(std::string_view text, bool keep_ends, const PieceVisitor& visit);
/// Visits words between white space; at most `max_splits` splits where that is not negative.
void split_words(std::string_view text, int64_t max_splits, const PieceVisitor& visit);
/// The same from the right: the last word comes first.
void split_words_right(std::string_view text, int64_t max_splits, const PieceVisitor& visit);

enum class Direction : uint8_t { kForward, kBackward };

/// Finds one needle in many places, in time linear in the haystack. The needle must outlive it; it
/// takes 4 bytes of memory for each byte of a long needle.
class Searcher {
 public:
  static constexpr size_t npos = std::string_view::npos;

  explicit Searcher(std::string_view needle, Direction direction = Direction::kForward);
  /// First occurrence at or after `from`; for Direction::kForward.
  size_t find(std::string_view haystack, size_t from = 0) const;
  /// Last occurrence that ends at or before `end`; for Direction::kBackward.
  size_t rfind(std::string_view haystack, size_t end = npos) const;
  /// What searching `bytes` costs, in bytes of plain work: a table is slower than memchr.
  size_t cost(size_t bytes) const { return table_.empty() ? bytes : 4 * bytes; }

 private:
  // Below this length the worst case of the plain search costs less than building a table.
  static constexpr size_t kPlainLimit = 16;

  /// Byte i of the needle in the direction of the search.
  char at(size_t i) const {
    return needle_[direction_ == Direction::kForward ? i : needle_.size() - 1 - i];
  }
  /// Takes one byte of the haystack; true when the whole needle has been seen.
  bool advance(char byte, size_t& matched) const;

  std::string_view needle_;
  Direction direction_;
  std::vector<uint32_t> table_;  // Knuth-Morris-Pratt; empty for short needles
};

}  // namespace omg::jinja
