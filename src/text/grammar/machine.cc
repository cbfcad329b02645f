// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/machine.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"

namespace omg::grammar {
namespace {

/// Looking further for a slice's capacity is not worth it.
constexpr size_t kMaxSliceConfigs = 1024;

uint64_t counters(uint32_t min, uint32_t max) {
  return uint64_t{min} << 32 | max;
}

}  // namespace

uint32_t slice_of(std::string_view bytes) {
  bool lowercase = true, letters = true;
  for (const char c : bytes) {
    if (static_cast<uint8_t>(c) < 0x20 || c == '"' || c == '\\') return kSlices;
    lowercase = lowercase && c >= 'a' && c <= 'z';
    letters = letters && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == ' ');
  }
  if (lowercase) return kLowercase;
  if (letters) return kLetters;
  return is_valid_utf8(bytes) ? uint32_t{kPlain} : kSlices;
}

Machine::Machine(const Automaton& automaton, uint32_t longest, const MachineLimits& limits)
    : automaton_(automaton), longest_(std::max(longest, 1u)), limits_(limits), seen_(256) {
  make_slice_steps();
  record_ = {counters(1, 1)};
  intern_frame();   // kRootFrame
  intern_config();  // kDead
  calls_.push_back({0, automaton.root_call(), pair_of(kFinalState, kRootFrame)});
  if (automaton.call(automaton.root_call()).nullable) {
    pending_.push_back(pair_of(kFinalState, kRootFrame));
  }
  close();
  initial_ = intern_config();
}

bool Machine::see(uint64_t pair) {
  if (seen_slots_.size() * 2 >= seen_.size()) {
    const std::vector<uint64_t> old = std::move(seen_);
    seen_.assign(old.size() * 2, 0);
    seen_slots_.clear();
    for (const uint64_t entry : old) {
      if (entry != 0) see(entry - 1);
    }
  }
  size_t slot = (pair * 0x9e3779b97f4a7c15u >> 20) & (seen_.size() - 1);
  for (; seen_[slot] != 0; slot = (slot + 1) & (seen_.size() - 1)) {
    if (seen_[slot] == pair + 1) return false;
  }
  seen_[slot] = pair + 1;
  seen_slots_.push_back(slot);
  return true;
}

void Machine::forget_seen() {
  for (const size_t slot : seen_slots_) seen_[slot] = 0;
  seen_slots_.clear();
}

ConfigId Machine::step(ConfigId config, uint32_t byte_class) {
  const uint8_t byte = automaton_.class_example(byte_class);
  for (const uint64_t pair : configs_.content(config)) {
    const State& state = automaton_.state(state_of(pair));
    if (state.kind != StateKind::kBytes) continue;
    for (const Edge& edge : automaton_.edges(state)) {
      if (edge.first <= byte && byte <= edge.last) {
        pending_.push_back(pair_of(edge.target, frame_of(pair)));
      }
    }
  }
  close();
  const ConfigId result = intern_config();
  steps_[size_t{config} * automaton_.class_count() + byte_class] = result;
  return result;
}

void Machine::close() {
  try {
    // First all rules that end here, which began before this position; then those that begin here.
    // A rule that matches the empty text never does both: its callers skip it.
    expand(true);
    enter_calls();
  } catch (...) {
    pending_.clear();
    pairs_.clear();
    calls_.clear();
    forget_seen();
    throw;
  }
  forget_seen();
}

void Machine::expand(bool may_complete) {
  while (!pending_.empty()) {
    const uint64_t pair = pending_.back();
    pending_.pop_back();
    const StateId id = state_of(pair);
    const State& state = automaton_.state(id);
    if (!state.productive || !see(pair)) continue;
    count_work();
    if (seen_slots_.size() > limits_.max_pairs) {
      throw Error(ErrorCode::kLimitExceeded,
                  "the grammar is too ambiguous: the text so far can be read in more than " +
                      std::to_string(limits_.max_pairs) + " ways; make it more definite");
    }
    const uint32_t frame = frame_of(pair);
    switch (state.kind) {
      case StateKind::kBytes:
        pairs_.push_back(pair);
        break;
      case StateKind::kSplit:
        for (const StateId next : automaton_.splits(state))
          pending_.push_back(pair_of(next, frame));
        break;
      case StateKind::kCall:
        call(state.begin, state.count, frame);
        break;
      case StateKind::kAccept:
        if (id == kFinalState) {
          pairs_.push_back(pair);
        } else if (may_complete) {
          complete(frame, state.begin);
        }
        break;
    }
  }
}

void Machine::call(uint32_t id, StateId next, uint32_t frame) {
  const Call& called = automaton_.call(id);
  if (called.nullable) pending_.push_back(pair_of(next, frame));
  if (!called.productive) return;
  const auto begin = calls_.size();
  const auto content = frames_.content(frame);
  const bool is_tail = automaton_.state(next).kind == StateKind::kAccept && frame != kRootFrame &&
                       content[0] == counters(1, 1);
  if (is_tail) {
    for (const uint64_t caller : content.subspan(1)) calls_.push_back({called.rank, id, caller});
  } else {
    calls_.push_back({called.rank, id, pair_of(next, frame)});
  }
  for (auto i = begin; i < calls_.size(); ++i) {
    std::push_heap(calls_.begin(), calls_.begin() + static_cast<ptrdiff_t>(i) + 1);
  }
}

void Machine::enter_calls() {
  while (!calls_.empty()) {
    const uint32_t id = calls_.front().call;
    const Call& called = automaton_.call(id);
    record_ = {counters(std::max(called.min, 1u), called.max)};
    while (!calls_.empty() && calls_.front().call == id) {
      if (record_.size() == 1 || record_.back() != calls_.front().caller) {
        record_.push_back(calls_.front().caller);
      }
      std::pop_heap(calls_.begin(), calls_.end());
      calls_.pop_back();
    }
    pending_.push_back(pair_of(called.start, intern_frame()));
    expand(false);
  }
}

void Machine::complete(uint32_t frame, StateId rule_start) {
  const auto content = frames_.content(frame);
  const auto min = static_cast<uint32_t>(content[0] >> 32);
  const auto max = static_cast<uint32_t>(content[0]);
  if (min <= 1) pending_.insert(pending_.end(), content.begin() + 1, content.end());
  if (max == 1) return;
  record_.assign(content.begin(), content.end());
  record_[0] = counters(min > 1 ? min - 1 : 1, max == kUnbounded ? max : max - 1);
  pending_.push_back(pair_of(rule_start, intern_frame()));
}

uint32_t Machine::intern_frame() {
  const auto [id, is_new] = frames_.intern(record_);
  if (!is_new) return id;
  uint32_t depth = 0;
  for (size_t i = 1; i < record_.size(); ++i) {
    depth = std::max(depth, frame_depth_[frame_of(record_[i])] + 1);
  }
  frame_depth_.push_back(depth);
  frame_folded_.push_back(id);
  if (depth > limits_.max_depth) {
    throw Error(ErrorCode::kLimitExceeded, "the text nests deeper than " +
                                               std::to_string(limits_.max_depth) +
                                               " levels of the grammar");
  }
  // The folded frame: its callers are folded already, so this recurs once.
  const auto min = static_cast<uint32_t>(record_[0] >> 32);
  const auto max = static_cast<uint32_t>(record_[0]);
  const uint64_t folded_counters =
      counters(std::min(min, longest_ + 1), max > longest_ ? kUnbounded : max);
  bool changes = folded_counters != record_[0];
  for (size_t i = 1; i < record_.size(); ++i) {
    const uint32_t frame = frame_of(record_[i]);
    changes = changes || frame_folded_[frame] != frame;
  }
  if (changes) {
    record_[0] = folded_counters;
    for (size_t i = 1; i < record_.size(); ++i) {
      record_[i] = pair_of(state_of(record_[i]), frame_folded_[frame_of(record_[i])]);
    }
    std::sort(record_.begin() + 1, record_.end());
    record_.erase(std::unique(record_.begin() + 1, record_.end()), record_.end());
    const uint32_t folded_id = intern_frame();
    frame_folded_[id] = folded_id;
  }
  return id;
}

ConfigId Machine::intern_config() {
  std::sort(pairs_.begin(), pairs_.end());
  pairs_.erase(std::unique(pairs_.begin(), pairs_.end()), pairs_.end());
  const auto [id, is_new] = configs_.intern(pairs_);
  if (is_new) {
    Facts facts;
    facts.accepting = !pairs_.empty() && pairs_[0] == pair_of(kFinalState, kRootFrame);
    facts_.push_back(facts);
    steps_.resize(steps_.size() + automaton_.class_count(), id == kDead ? kDead : kUnknown);
  }
  pairs_.clear();
  check_memory();
  return id;
}

void Machine::count_work() {
  if (++work_ > limits_.max_work) {
    throw Error(ErrorCode::kLimitExceeded,
                "the grammar is too ambiguous: finding what may come next takes too long; make it "
                "more definite");
  }
}

void Machine::check_memory() const {
  if (memory_bytes() > limits_.max_bytes) {
    throw Error(ErrorCode::kLimitExceeded,
                "the grammar takes too much memory: more than " +
                    std::to_string(limits_.max_bytes >> 20) +
                    " MiB for the ways in which the text can go on; make it more definite");
  }
}

size_t Machine::memory_bytes() const {
  return frames_.memory_bytes() + configs_.memory_bytes() + steps_.size() * sizeof(ConfigId) +
         facts_.size() * sizeof(Facts) + targets_.size() * sizeof(ConfigId) +
         frame_depth_.size() * 8;
}

ConfigId Machine::folded(ConfigId config) {
  if (facts_[config].folded != kUnknown) return facts_[config].folded;
  for (const uint64_t pair : configs_.content(config)) {
    pairs_.push_back(pair_of(state_of(pair), frame_folded_[frame_of(pair)]));
  }
  const ConfigId result = intern_config();
  facts_[config].folded = result;
  facts_[result].folded = result;
  return result;
}

void Machine::make_slice_steps() {
  // States: 0 between characters; 1 to 3 continuation bytes are due; 4 to 7 after E0, ED, F0, F4,
  // whose first continuation byte has a smaller range (Unicode 15, table 3-7).
  struct Range {
    Slice slice;
    uint32_t state, first, last;
    uint8_t next;
  };
  static constexpr Range kRanges[] = {
      {kPlain, 0, 0x20, 0x21, 0},  {kPlain, 0, 0x23, 0x5b, 0}, {kPlain, 0, 0x5d, 0x7f, 0},
      {kPlain, 0, 0xc2, 0xdf, 1},  {kPlain, 0, 0xe0, 0xe0, 4}, {kPlain, 0, 0xe1, 0xec, 2},
      {kPlain, 0, 0xed, 0xed, 5},  {kPlain, 0, 0xee, 0xef, 2}, {kPlain, 0, 0xf0, 0xf0, 6},
      {kPlain, 0, 0xf1, 0xf3, 3},  {kPlain, 0, 0xf4, 0xf4, 7}, {kPlain, 1, 0x80, 0xbf, 0},
      {kPlain, 2, 0x80, 0xbf, 1},  {kPlain, 3, 0x80, 0xbf, 2}, {kPlain, 4, 0xa0, 0xbf, 1},
      {kPlain, 5, 0x80, 0x9f, 1},  {kPlain, 6, 0x90, 0xbf, 2}, {kPlain, 7, 0x80, 0x8f, 2},
      {kLetters, 0, ' ', ' ', 0},  {kLetters, 0, 'A', 'Z', 0}, {kLetters, 0, 'a', 'z', 0},
      {kLowercase, 0, 'a', 'z', 0}};
  for (auto& steps : slice_steps_) steps.resize(8);
  for (const Range& range : kRanges) {
    uint32_t last_class = kUnknown;  // a class may come twice in a range; that only costs a look-up
    for (uint32_t byte = range.first; byte <= range.last; ++byte) {
      const uint32_t byte_class = automaton_.class_of(static_cast<uint8_t>(byte));
      if (byte_class == last_class) continue;
      last_class = byte_class;
      slice_steps_[range.slice][range.state].push_back({static_cast<uint8_t>(byte), range.next});
    }
  }
}

void Machine::find_targets(ConfigId config, Slice slice) {
  std::vector<std::pair<ConfigId, uint8_t>> pending = {{config, 0}}, seen;
  std::vector<ConfigId> targets;
  bool all = true;
  while (!pending.empty() && all) {
    const auto [at, decoder] = pending.back();
    pending.pop_back();
    for (const SliceStep& step : slice_steps_[slice][decoder]) {
      const ConfigId after = next(at, step.byte);
      if (after == kDead) {
        all = false;
        break;
      }
      if (step.next_state == 0) {
        if (std::ranges::find(targets, after) == targets.end()) targets.push_back(after);
      } else if (std::ranges::find(seen, std::pair(after, step.next_state)) == seen.end()) {
        seen.emplace_back(after, step.next_state);
        pending.emplace_back(after, step.next_state);
      }
    }
  }
  if (!all) targets.clear();
  facts_[config].targets[slice] = {static_cast<uint32_t>(targets_.size()),
                                   static_cast<uint32_t>(targets.size()), all};
  targets_.insert(targets_.end(), targets.begin(), targets.end());
}

uint32_t Machine::capacity(ConfigId config, Slice slice, uint32_t limit) {
  std::vector<ConfigId> seen = {config};
  size_t level_begin = 0;
  for (uint32_t level = 0; level < limit; ++level) {
    const size_t level_end = seen.size();
    if (level_begin == level_end) return limit;  // nothing new: it goes on like this for ever
    for (size_t i = level_begin; i < level_end; ++i) {
      if (facts_[seen[i]].targets[slice].begin == kUnknown) find_targets(seen[i], slice);
      const Targets& targets = facts_[seen[i]].targets[slice];
      if (!targets.all || seen.size() > kMaxSliceConfigs) return level;
      for (uint32_t t = 0; t < targets.count; ++t) {
        const ConfigId target = targets_[targets.begin + t];
        if (std::ranges::find(seen, target) == seen.end()) seen.push_back(target);
      }
    }
    level_begin = level_end;
  }
  return limit;
}

ConfigId Machine::adopt(const Machine& other, ConfigId config) {
  // Callers of a frame were there before it, so ascending ids meet each frame after its callers.
  std::vector<uint32_t> ids(other.frames_.size(), kUnknown);
  std::vector<bool> needed(other.frames_.size());
  uint32_t last = 0;
  for (const uint64_t pair : other.configs_.content(config)) {
    needed[frame_of(pair)] = true;
    last = std::max(last, frame_of(pair));
  }
  for (uint32_t id = last + 1; id-- > 0;) {
    if (!needed[id]) continue;
    for (const uint64_t caller : other.frames_.content(id).subspan(1)) {
      needed[frame_of(caller)] = true;
    }
  }
  for (uint32_t id = 0; id <= last; ++id) {
    if (!needed[id]) continue;
    const auto content = other.frames_.content(id);
    record_.assign(content.begin(), content.end());
    for (size_t i = 1; i < record_.size(); ++i) {
      record_[i] = pair_of(state_of(record_[i]), ids[frame_of(record_[i])]);
    }
    std::sort(record_.begin() + 1, record_.end());
    ids[id] = intern_frame();
  }
  for (const uint64_t pair : other.configs_.content(config)) {
    pairs_.push_back(pair_of(state_of(pair), ids[frame_of(pair)]));
  }
  return intern_config();
}

}  // namespace omg::grammar
