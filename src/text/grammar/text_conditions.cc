// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/text_conditions.h"

#include <map>
#include <memory>

#include "base/error.h"
#include "text/grammar/json_text.h"
#include "text/grammar/machine.h"
#include "text/grammar/regex.h"

namespace omg::grammar {
namespace {

constexpr size_t kMaxCombinations = 8000;

/// One condition's automaton.
struct Runner {
  std::unique_ptr<Automaton> automaton;
  std::unique_ptr<Machine> machine;
  bool negated = false;

  Runner(const TextCondition& condition, const GrammarLimits& limits) : negated(condition.negated) {
    Expressions expressions(limits);
    RegexOptions options;
    options.search = condition.search;
    options.what = condition.what;
    const RuleId root = expressions.declare(condition.what);
    expressions.define(root, parse_regex(condition.pattern, expressions, options));
    expressions.set_root(root);
    automaton = std::make_unique<Automaton>(expressions);
    machine = std::make_unique<Machine>(*automaton, 1, MachineLimits{.max_bytes = 16u << 20});
  }
};

class Combiner {
 public:
  Combiner(Expressions& expressions, std::span<const TextCondition> conditions, uint32_t min,
           uint32_t max)
      : e_(expressions), min_(min), max_(max) {
    // Whole characters, even if all other conditions say what must not be.
    runners_.emplace_back(TextCondition{.pattern = "[\\s\\S]*"}, e_.limits());
    for (const TextCondition& condition : conditions) runners_.emplace_back(condition, e_.limits());
  }

  ExprId build() {
    Combination start;
    for (const Runner& runner : runners_) start.push_back(runner.machine->initial());
    start.push_back(0);
    const RuleId first = rule_of(start);
    for (size_t i = 0; i < combinations_.size(); ++i) {  // grows on the way
      const Combination combination = combinations_[i];
      e_.define(first + static_cast<RuleId>(i), body(combination));
    }
    return e_.rule(first);
  }

 private:
  using Combination = std::vector<uint32_t>;  // a configuration of each, then the characters so far

  RuleId rule_of(const Combination& combination) {
    const auto [entry, is_new] = rules_.try_emplace(combination, 0);
    if (is_new) {
      if (combinations_.size() >= kMaxCombinations) {
        throw Error(ErrorCode::kLimitExceeded,
                    "patterns and lengths of strings take too many combinations: more than " +
                        std::to_string(kMaxCombinations) +
                        "; make the length shorter or leave one of them out");
      }
      entry->second = e_.declare("a string under conditions");
      combinations_.push_back(combination);
    }
    return entry->second;
  }

  /// Where a byte leads; empty if nowhere.
  Combination after(const Combination& combination, uint8_t byte) {
    Combination next;
    for (size_t i = 0; i < runners_.size(); ++i) {
      const ConfigId config = runners_[i].machine->next(combination[i], byte);
      if (config == kDead && !runners_[i].negated) return {};
      next.push_back(config);
    }
    uint32_t count = combination.back();
    if ((byte & 0xc0) != 0x80) {
      if (count >= max_) return {};
      // Beyond all bounds it does not matter how many.
      if (max_ != kUnbounded || count < min_) ++count;
    }
    next.push_back(count);
    return next;
  }

  ExprId body(const Combination& combination) {
    std::vector<ExprId> choices;
    for (uint32_t first = 0; first < 256;) {
      const auto byte = static_cast<uint8_t>(first);
      const Combination next = after(combination, byte);
      uint32_t last = first;
      if (!next.empty()) {
        const bool plain = byte >= 0x20 && byte != '"' && byte != '\\';
        while (plain && last < 255 && last + 1 != '"' && last + 1 != '\\' &&
               after(combination, static_cast<uint8_t>(last + 1)) == next) {
          ++last;
        }
        const ExprId bytes = plain ? e_.byte_range(byte, static_cast<uint8_t>(last))
                                   : json_characters(e_, {{first, first}});
        choices.push_back(e_.sequence({bytes, e_.rule(rule_of(next))}));
      }
      first = last + 1;
    }
    if (accepts(combination)) choices.push_back(e_.empty());
    return e_.alternatives(std::move(choices));
  }

  bool accepts(const Combination& combination) const {
    for (size_t i = 0; i < runners_.size(); ++i) {
      if (runners_[i].machine->is_accepting(combination[i]) == runners_[i].negated) return false;
    }
    return combination.back() >= min_;
  }

  Expressions& e_;
  const uint32_t min_, max_;
  std::vector<Runner> runners_;
  std::map<Combination, RuleId> rules_;
  std::vector<Combination> combinations_;  // by rule, from the first one on
};

}  // namespace

ExprId json_text_with(Expressions& expressions, std::span<const TextCondition> conditions,
                      uint32_t min, uint32_t max) {
  return Combiner(expressions, conditions, min, max).build();
}

bool satisfies(std::string_view text, const TextCondition& condition, const GrammarLimits& limits) {
  const Runner runner(condition, limits);
  ConfigId config = runner.machine->initial();
  for (const char c : text) config = runner.machine->next(config, static_cast<uint8_t>(c));
  return runner.machine->is_accepting(config) != condition.negated;
}

std::string quoted_pattern(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (std::string_view("\\^$.|?*+()[]{}/").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

}  // namespace omg::grammar
