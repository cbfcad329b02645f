// SPDX-License-Identifier: Apache-2.0
//
// Runs an automaton with its stacks, and remembers every step. A **configuration** is the set of
// all (state, frame) pairs in which a text may be; equal sets have one id, and a step from one by a
// byte is computed once. A **frame** is one call in progress: how often its rule must and may still
// be matched, and the set of places to return to. Calls that begin at the same byte share a frame,
// as in Earley's and GLL's parsers, so ambiguous grammars stay polynomial; calls at the end of a
// rule return to its callers, so recursion at the end needs no stack.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <tuple>
#include <vector>

#include "text/grammar/automaton.h"
#include "text/grammar/interner.h"

namespace omg::grammar {

using ConfigId = uint32_t;

/// No text goes on from here.
inline constexpr ConfigId kDead = 0;
/// Tokens of more characters are not treated as plain.
inline constexpr uint32_t kManyCharacters = 254;
/// Masks of plain tokens are kept for each number of characters up to this one, and for all.
inline constexpr uint32_t kPlainLengths = 32;

/// Kinds of tokens that are so many that a walk to each of them would take milliseconds. Each holds
/// those after it.
enum Slice : uint8_t {
  kPlain,      // whole characters that may stand in a JSON string as they are: most of a vocabulary
  kLetters,    // ASCII letters and spaces
  kLowercase,  // a to z
};
inline constexpr uint32_t kSlices = 3;

struct MachineLimits {
  /// Configurations, frames and steps. Error(kLimitExceeded) beyond.
  size_t max_bytes = 96u << 20;
  /// Pairs in one configuration: how ambiguous a text may be.
  size_t max_pairs = 1u << 16;
  /// Pairs looked at for one mask or token. A mask over 128k tokens takes some 10^5; 4 million take
  /// about a second.
  size_t max_work = 4u << 20;
  /// Calls within calls.
  uint32_t max_depth = 4096;
};

/// Not for several threads at once. `automaton` must outlive it.
class Machine {
 public:
  /// `longest` is the most bytes that a single token has.
  Machine(const Automaton& automaton, uint32_t longest, const MachineLimits& limits);

  ConfigId initial() const { return initial_; }
  /// A mask or a token begins: what it may cost is counted from here.
  void begin_work() { work_ = 0; }

  /// Where `byte` leads; kDead where it may not come.
  ConfigId next(ConfigId config, uint8_t byte) {
    const uint32_t byte_class = automaton_.class_of(byte);
    const ConfigId known = steps_[size_t{config} * automaton_.class_count() + byte_class];
    return known != kUnknown ? known : step(config, byte_class);
  }

  /// Whether the text may end here.
  bool is_accepting(ConfigId config) const { return facts_[config].accepting; }

  /// A configuration from which exactly the same texts of up to `longest` bytes go on. Counters far
  /// from their limits are equal in it, so that it is one for most lengths of a bounded string.
  ConfigId folded(ConfigId config);

  /// How many characters of a slice may follow, whichever they are; at most `limit`, and limit for
  /// endless.
  uint32_t capacity(ConfigId config, Slice slice, uint32_t limit);

  /// The same configuration of another machine of the same automaton.
  ConfigId adopt(const Machine& other, ConfigId config);

  size_t memory_bytes() const;
  size_t config_count() const { return configs_.size(); }

 private:
  static constexpr uint32_t kUnknown = UINT32_MAX;
  static constexpr uint32_t kRootFrame = 0;

  /// Configurations after any one character of a slice, if none of its characters is refused.
  struct Targets {
    uint32_t begin = kUnknown, count = 0;
    bool all = false;
  };
  struct Facts {
    bool accepting = false;
    ConfigId folded = kUnknown;
    std::array<Targets, kSlices> targets;
  };
  struct PendingCall {
    uint32_t rank, call;
    uint64_t caller;
    bool operator<(const PendingCall& other) const {  // the smallest rank is on top of the heap
      return std::tie(rank, call, caller) > std::tie(other.rank, other.call, other.caller);
    }
  };
  /// A byte of each class that may come in a state of the UTF-8 decoder, and the state after it.
  struct SliceStep {
    uint8_t byte, next_state;
  };

  static uint64_t pair_of(StateId state, uint32_t frame) { return uint64_t{state} << 32 | frame; }
  static StateId state_of(uint64_t pair) { return static_cast<StateId>(pair >> 32); }
  static uint32_t frame_of(uint64_t pair) { return static_cast<uint32_t>(pair); }

  ConfigId step(ConfigId config, uint32_t byte_class);
  /// Follows all that is pending as far as it goes without a byte.
  void close();
  void expand(bool may_complete);
  void complete(uint32_t frame, StateId rule_start);
  void call(uint32_t call, StateId next, uint32_t frame);
  void enter_calls();
  ConfigId intern_config();
  uint32_t intern_frame();
  void check_memory() const;
  void count_work();
  void find_targets(ConfigId config, Slice slice);
  void make_slice_steps();
  bool see(uint64_t pair);
  void forget_seen();

  const Automaton& automaton_;
  const uint32_t longest_;
  const MachineLimits limits_;
  Interner frames_, configs_;
  std::vector<uint32_t> frame_folded_, frame_depth_;
  std::vector<ConfigId> steps_;
  std::vector<Facts> facts_;
  std::vector<ConfigId> targets_;
  std::array<std::vector<std::vector<SliceStep>>, kSlices> slice_steps_;  // by decoder's state
  ConfigId initial_ = kDead;
  size_t work_ = 0;

  // Scratch of one step.
  std::vector<uint64_t> pending_, pairs_;
  std::vector<uint64_t> record_;    // of a frame: counters, then callers
  std::vector<PendingCall> calls_;  // a heap
  std::vector<uint64_t> seen_;      // an open hash table of pairs plus one
  std::vector<size_t> seen_slots_;  // those in use
};

/// The narrowest slice that a token belongs to, kSlices for none.
uint32_t slice_of(std::string_view bytes);

}  // namespace omg::grammar
