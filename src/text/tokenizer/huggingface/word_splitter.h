// SPDX-License-Identifier: Apache-2.0
//
// The pre-tokenizers of tokenizer.json: how a normalized text is cut into the words that the model
// sees one by one.
// Source: https://huggingface.co/docs/tokenizers/api/pre-tokenizers
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/huggingface/json_node.h"

namespace omg::huggingface {

/// A text and the words in it, in order. Not every byte need belong to a word.
class Words {
 public:
  struct Range {
    size_t start = 0;
    size_t end = 0;
  };

  /// One word, all of `text`, which must outlive this; none if it is empty.
  Words(std::string_view text, bool at_text_start);
  Words(const Words&) = delete;

  std::string_view text() const { return text_; }
  const std::vector<Range>& ranges() const { return ranges_; }
  std::string_view word(const Range& range) const {
    return text_.substr(range.start, range.end - range.start);
  }
  /// True for a word at the start of all that is encoded.
  bool is_at_text_start(const Range& range) const { return at_text_start_ && range.start == 0; }

  void set_ranges(std::vector<Range> ranges) { ranges_ = std::move(ranges); }
  /// Another text with its words.
  void set_text(std::string text, std::vector<Range> ranges);

  /// The words are bytes that a byte-level vocabulary has to write in its alphabet. Every step but
  /// the last writes the alphabet itself; the last leaves it to the model, which then need not.
  bool needs_byte_alphabet = false;

 private:
  std::string owned_;
  std::string_view text_;
  std::vector<Range> ranges_;
  bool at_text_start_;
};

/// One step. Immutable after construction: many threads may split at once.
class WordStep {
 public:
  virtual ~WordStep() = default;
  virtual void apply(Words& words) const = 0;
};

/// All steps of a file. Immutable after construction.
class WordSplitter {
 public:
  WordSplitter() = default;
  /// Error(kUnsupported) naming a type that is not known.
  explicit WordSplitter(const JsonNode& node);

  void split(Words& words) const;
  /// True if words come out with needs_byte_alphabet.
  bool is_byte_level() const { return is_byte_level_; }

 private:
  std::vector<std::unique_ptr<WordStep>> steps_;
  bool is_byte_level_ = false;
};

}  // namespace omg::huggingface
