// SPDX-License-Identifier: Apache-2.0
//
// The order: a space and a letter, pairs of letters, numbers, the same after a space, then words of
// three and four letters.
#include "tools/make_model/pieces.h"

#include <algorithm>

namespace omg::model_maker {
namespace {

constexpr std::string_view kLetters = "etaoinshrdlucmfwygpbvkxqjz";  // by frequency in English
constexpr std::string_view kCapitals = "ETAOINSHRDLUCMFWYGPBVKXQJZ";
constexpr std::string_view kDigits = "0123456789";

class PieceList {
 public:
  PieceList(std::string_view space, size_t count) : space_(space), count_(count) {}

  bool is_full() const { return pieces_.size() >= count_; }
  std::vector<Piece> take() { return std::move(pieces_); }

  void add(std::string_view left, std::string_view right) {
    if (!is_full()) pieces_.push_back({std::string(left), std::string(right)});
  }
  /// The piece, then the same after a space.
  void add_both(const std::string& left, std::string_view right) {
    add(left, right);
    add(space_, left + std::string(right));
  }

 private:
  std::string space_;
  size_t count_;
  std::vector<Piece> pieces_;
};

/// All pairs of letters, frequent ones first.
std::vector<std::string> letter_pairs() {
  std::vector<std::pair<size_t, std::string>> ranked;
  for (size_t a = 0; a < kLetters.size(); ++a) {
    for (size_t b = 0; b < kLetters.size(); ++b) {
      ranked.push_back({a + b, {kLetters[a], kLetters[b]}});
    }
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::string> pairs;
  for (auto& [rank, text] : ranked) pairs.push_back(std::move(text));
  return pairs;
}

void add_short_pieces(PieceList& list, std::string_view space, std::string_view newline,
                      const std::vector<std::string>& pairs) {
  for (const char letter : kLetters) list.add(space, {&letter, 1});
  for (const auto& pair : pairs) list.add(pair.substr(0, 1), pair.substr(1));
  for (const char letter : kCapitals) list.add(space, {&letter, 1});
  const std::string one(space), two = one + one, four = two + two;
  list.add(one, one);
  list.add(two, two);
  list.add(four, four);
  if (!newline.empty()) list.add(newline, newline);
  for (const auto& pair : pairs) list.add(space, pair);
  for (const char a : kDigits) {
    for (const char b : kDigits) list.add({&a, 1}, {&b, 1});
  }
  for (const char a : kCapitals) {
    for (const char b : kLetters) list.add_both({a}, {&b, 1});
  }
}

void add_long_pieces(PieceList& list, const std::vector<std::string>& pairs) {
  for (const auto& pair : pairs) {
    for (const char letter : kLetters) list.add_both(pair, {&letter, 1});
  }
  // Words of four along the diagonals, so that both halves are frequent pairs first.
  for (size_t sum = 0; sum + 1 < 2 * pairs.size() && !list.is_full(); ++sum) {
    const size_t first = sum < pairs.size() ? 0 : sum - pairs.size() + 1;
    for (size_t i = first; i <= std::min(sum, pairs.size() - 1); ++i) {
      list.add_both(pairs[i], pairs[sum - i]);
    }
  }
}

}  // namespace

std::vector<Piece> make_pieces(std::string_view space, std::string_view newline, size_t count) {
  PieceList list(space, count);
  const auto pairs = letter_pairs();
  add_short_pieces(list, space, newline, pairs);
  add_long_pieces(list, pairs);
  return list.take();
}

}  // namespace omg::model_maker
