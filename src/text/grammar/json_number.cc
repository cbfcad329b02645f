// SPDX-License-Identifier: Apache-2.0
//
// Numbers in a range, digit by digit: a number belongs to the range if its first digit that differs
// from a bound's differs in the right direction.
#include <algorithm>

#include "text/grammar/json_text.h"

namespace omg::grammar {
namespace {

/// Integers without an upper bound have at most as many digits, or one more than the lower bound.
constexpr size_t kDigits = 20;
/// Digits beyond those of the bounds in which an exclusive bound may be left.
constexpr size_t kMoreFraction = 8;

int compare_digits(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.compare(b);
}

std::string increment(std::string digits) {
  size_t i = digits.size();
  while (i > 0 && digits[i - 1] == '9') digits[--i] = '0';
  if (i == 0) return "1" + digits;
  ++digits[i - 1];
  return digits;
}

/// Of a positive number.
std::string decrement(std::string digits) {
  size_t i = digits.size();
  while (digits[i - 1] == '0') digits[--i] = '9';
  --digits[i - 1];
  if (digits.size() > 1 && digits[0] == '0') digits.erase(0, 1);
  return digits;
}

class RangeBuilder {
 public:
  RangeBuilder(Expressions& expressions, const NumberRange& range)
      : e_(expressions), range_(range) {}

  ExprId build() {
    std::vector<ExprId> choices;
    const Bound zero{Decimal{}, true}, beyond_zero{Decimal{}, false};
    const Decimal nothing;
    if (!range_.high || compare(range_.high->value, nothing) >= 0) {
      const bool above = range_.low && compare(range_.low->value, nothing) >= 0;
      choices.push_back(magnitude(above ? *range_.low : zero, range_.high));
    }
    if (!range_.low || compare(range_.low->value, nothing) < 0) {
      const bool below = range_.high && compare(range_.high->value, nothing) < 0;
      const ExprId size =
          magnitude(below ? opposite(*range_.high) : beyond_zero,
                    range_.low ? std::optional(opposite(*range_.low)) : std::nullopt);
      choices.push_back(e_.sequence({e_.literal("-"), size}));
    }
    return e_.alternatives(std::move(choices));
  }

 private:
  static Bound opposite(Bound bound) {
    bound.value.negative = !bound.value.negative && !bound.value.is_zero();
    return bound;
  }

  ExprId digit(char first, char last) {
    return e_.one_of({{static_cast<uint32_t>(first), static_cast<uint32_t>(last)}});
  }

  ExprId magnitude(const Bound& low, const std::optional<Bound>& high) {
    return range_.integer ? integer_magnitude(low, high) : decimal_magnitude(low, high);
  }

  ExprId integer_magnitude(const Bound& low, const std::optional<Bound>& high) {
    const bool above = !low.value.fraction.empty() || !low.inclusive;
    const std::string first = above ? increment(low.value.digits) : low.value.digits;
    if (!high) return integers(first, std::nullopt);
    const bool below = high->value.fraction.empty() && !high->inclusive;
    if (below && high->value.digits == "0") return e_.nothing();
    return integers(first, below ? decrement(high->value.digits) : high->value.digits);
  }

  ExprId decimal_magnitude(const Bound& low, const std::optional<Bound>& high) {
    const std::string& first = low.value.digits;
    if (high && compare_digits(first, high->value.digits) > 0) return e_.nothing();
    if (high && first == high->value.digits) {
      return e_.sequence({e_.literal(first), fraction(&low, &*high)});
    }
    std::vector<ExprId> choices = {e_.sequence({e_.literal(first), fraction(&low, nullptr)})};
    std::optional<std::string> last;
    if (high) {
      last = decrement(high->value.digits);
      choices.push_back(e_.sequence({e_.literal(high->value.digits), fraction(nullptr, &*high)}));
    }
    choices.push_back(e_.sequence({integers(increment(first), last), fraction(nullptr, nullptr)}));
    return e_.alternatives(std::move(choices));
  }

  ExprId integers(const std::string& first, const std::optional<std::string>& last) {
    const std::string high = last ? *last : std::string(std::max(kDigits, first.size() + 1), '9');
    if (compare_digits(first, high) > 0) return e_.nothing();
    if (first.size() == high.size()) return same_length(first, high, 0, true, true);
    std::vector<ExprId> choices = {
        same_length(first, std::string(first.size(), '9'), 0, true, true)};
    const auto shortest = static_cast<uint32_t>(first.size());
    const auto longest = static_cast<uint32_t>(high.size());
    if (longest - shortest > 1) {
      choices.push_back(
          e_.sequence({digit('1', '9'), e_.repeat(digit('0', '9'), shortest, longest - 2)}));
    }
    choices.push_back(same_length("1" + std::string(high.size() - 1, '0'), high, 0, true, true));
    return e_.alternatives(std::move(choices));
  }

  /// What may follow `position` digits of equal-length bounds; tight: all of them are the bound's.
  ExprId same_length(const std::string& low, const std::string& high, size_t position,
                     bool tight_low, bool tight_high) {
    const auto left = static_cast<uint32_t>(low.size() - position);
    if (left == 0) return e_.empty();
    if (!tight_low && !tight_high) return e_.repeat(digit('0', '9'), left, left);
    char first = tight_low ? low[position] : '0';
    char last = tight_high ? high[position] : '9';
    if (tight_low && tight_high && first == last) {
      return e_.sequence({digit(first, first), same_length(low, high, position + 1, true, true)});
    }
    std::vector<ExprId> choices;
    if (tight_low) {
      choices.push_back(
          e_.sequence({digit(first, first), same_length(low, high, position + 1, true, false)}));
      ++first;
    }
    if (tight_high) {
      choices.push_back(
          e_.sequence({digit(last, last), same_length(low, high, position + 1, false, true)}));
      --last;
    }
    if (first <= last) {
      choices.push_back(
          e_.sequence({digit(first, last), same_length(low, high, position + 1, false, false)}));
    }
    return e_.alternatives(std::move(choices));
  }

  /// What may follow the digits before the point, if these are the bound's (where there is one).
  ExprId fraction(const Bound* low, const Bound* high) {
    low_ = low;
    high_ = high;
    std::vector<ExprId> choices;
    const bool low_allows = low == nullptr || (low->value.fraction.empty() && low->inclusive);
    const bool high_allows = high == nullptr || !high->value.fraction.empty() || high->inclusive;
    if (low_allows && high_allows) choices.push_back(e_.empty());
    if (range_.fraction_digits > 0) {
      choices.push_back(
          e_.sequence({e_.literal("."), decimals(0, low != nullptr, high != nullptr)}));
    }
    return e_.alternatives(std::move(choices));
  }

  size_t fraction_limit() const {
    size_t digits = 0;
    if (low_ != nullptr) digits = std::max(digits, low_->value.fraction.size());
    if (high_ != nullptr) digits = std::max(digits, high_->value.fraction.size());
    return std::min<size_t>(digits + kMoreFraction, range_.fraction_digits);
  }

  ExprId decimals(size_t position, bool tight_low, bool tight_high) {
    const std::string none;
    const std::string& low = tight_low ? low_->value.fraction : none;
    const std::string& high = tight_high ? high_->value.fraction : none;
    if (tight_low && position >= low.size() && low_->inclusive) tight_low = false;
    const auto most = range_.fraction_digits;
    if (!tight_low && !tight_high) {
      const auto used = static_cast<uint32_t>(position);
      return e_.repeat(digit('0', '9'), position == 0 ? 1 : 0, used < most ? most - used : 0);
    }
    std::vector<ExprId> choices;
    // Ending here means that zeros follow.
    const bool high_allows = !tight_high || position < high.size() || high_->inclusive;
    if (position > 0 && !tight_low && high_allows) choices.push_back(e_.empty());
    if (position < fraction_limit()) {
      char first = tight_low && position < low.size() ? low[position] : '0';
      char last = tight_high ? (position < high.size() ? high[position] : '0') : '9';
      if (tight_low && tight_high && first == last) {
        choices.push_back(e_.sequence({digit(first, first), decimals(position + 1, true, true)}));
        first = '1';
        last = '0';
      }
      if (tight_low && first <= last) {
        choices.push_back(e_.sequence({digit(first, first), decimals(position + 1, true, false)}));
        ++first;
      }
      if (tight_high && first <= last) {
        choices.push_back(e_.sequence({digit(last, last), decimals(position + 1, false, true)}));
        --last;
      }
      if (first <= last) {
        choices.push_back(e_.sequence({digit(first, last), decimals(position + 1, false, false)}));
      }
    }
    return e_.alternatives(std::move(choices));
  }

  Expressions& e_;
  const NumberRange& range_;
  const Bound* low_ = nullptr;
  const Bound* high_ = nullptr;
};

}  // namespace

int compare(const Decimal& a, const Decimal& b) {
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  int order = compare_digits(a.digits, b.digits);
  if (order == 0) order = a.fraction.compare(b.fraction);
  return a.negative ? -order : order;
}

ExprId number_in_range(Expressions& expressions, const NumberRange& range) {
  return RangeBuilder(expressions, range).build();
}

ExprId multiples(Expressions& expressions, uint32_t divisor, bool negative, bool zero) {
  // One rule a remainder: what may follow digits that leave it.
  std::vector<RuleId> rules;
  for (uint32_t r = 0; r < divisor; ++r) {
    rules.push_back(expressions.declare("digits of a multiple of " + std::to_string(divisor)));
  }
  const auto after_digits = [&](uint32_t remainder, uint32_t first) {
    std::vector<ExprId> choices;
    for (uint32_t digit = first; digit < 10; ++digit) {
      choices.push_back(
          expressions.sequence({expressions.literal(std::string(1, static_cast<char>('0' + digit))),
                                expressions.rule(rules[(remainder * 10 + digit) % divisor])}));
    }
    return choices;
  };
  for (uint32_t r = 0; r < divisor; ++r) {
    std::vector<ExprId> choices = after_digits(r, 0);
    if (r == 0) choices.push_back(expressions.empty());
    expressions.define(rules[r], expressions.alternatives(std::move(choices)));
  }
  const ExprId positive = expressions.alternatives(after_digits(0, 1));
  std::vector<ExprId> choices = {positive};
  if (negative) choices.push_back(expressions.sequence({expressions.literal("-"), positive}));
  if (zero) choices.push_back(expressions.literal("0"));
  return expressions.alternatives(std::move(choices));
}

}  // namespace omg::grammar
