// SPDX-License-Identifier: Apache-2.0
//
// The table of pre-tokenizers: how a byte-level vocabulary's text is cut into words before merging,
// by the name that a model file gives in `tokenizer.ggml.pre`, and what else the name implies.
#pragma once

#include <string_view>
#include <vector>

#include "text/tokenizer/scanner.h"

namespace omg {

enum class SplitKind {
  kRegex,           // every match is a piece, and so is every stretch between matches
  kNewlineRuns,     // runs of '\n' and of everything else
  kDigitGroups,     // numbers into groups of three counted from the right; see splitter.cc
  kTrailingDigits,  // the same cuts, but a number is also cut from what stands before it
  kTrailingSpace,   // the whitespace at the end of a piece is a piece
};

/// One step; it cuts each piece of the step before, as if that piece were the whole text.
struct SplitStep {
  SplitKind kind = SplitKind::kRegex;
  const char* pattern = "";          // kRegex: PCRE2 syntax, where \s is Unicode's White_Space
  Scanner scanner = Scanner::kNone;  // kRegex: does what the pattern says, faster
};

struct PreTokenizer {
  std::vector<SplitStep> steps;
  /// A word that stands in the vocabulary is that token, whatever its merges say.
  bool ignore_merges = false;
  /// BOS is added unless the file says otherwise.
  bool add_bos = false;
  /// BOS is added even if the file says otherwise (Gemma 4).
  bool force_bos = false;
  /// Text is merged as it is, with spaces as '▁', instead of through the byte alphabet of GPT-2.
  bool raw_text = false;
  /// With raw_text: spaces stay spaces.
  bool keep_spaces = false;
  /// A vocabulary without merges is no error.
  bool merges_optional = false;
  /// Runs of newlines that stand in the vocabulary are that token (Gemma 4).
  bool whole_newlines = false;
};

/// Error(kUnsupported) naming a pre-tokenizer that is not in the table: a guess would give wrong
/// tokens silently.
PreTokenizer find_pre_tokenizer(std::string_view name);

/// Every name in the table.
std::vector<std::string_view> pre_tokenizer_names();

}  // namespace omg
