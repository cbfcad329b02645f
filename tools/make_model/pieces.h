// SPDX-License-Identifier: Apache-2.0
//
// Word pieces in the order of a merge list: each is made of two that stand before it or are single
// characters. English-like letters come first, so that English text takes two to four letters a
// token.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace omg::model_maker {

struct Piece {
  std::string left;
  std::string right;
};

/// The first `count` pieces, all different; fewer than `count` only beyond 900,000. `space` stands
/// for a space and `newline`, if not empty, for a newline.
std::vector<Piece> make_pieces(std::string_view space, std::string_view newline, size_t count);

}  // namespace omg::model_maker
