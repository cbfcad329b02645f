// SPDX-License-Identifier: Apache-2.0
//
// Cutting is one operation: stretches, some of them delimiters, and a rule for what becomes of the
// delimiters. The steps differ in how they find the delimiters.
#include "text/tokenizer/huggingface/word_splitter.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/utf8.h"
#include "text/tokenizer/byte_alphabet.h"
#include "text/tokenizer/huggingface/pattern.h"
#include "text/tokenizer/huggingface/scripts.h"
#include "text/tokenizer/huggingface/unicode.h"
#include "text/tokenizer/scanner.h"
#include "text/tokenizer/space_mark.h"

namespace omg::huggingface {
namespace {

constexpr size_t kMaxSteps = 64;
constexpr size_t kMaxDepth = 8;

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Published expressions that have a scanner.
struct KnownExpression {
  std::string_view text;
  Scanner scanner;
  bool covers_all;        // every text is matches side by side
  bool has_contractions;  // without regard to case
};
constexpr KnownExpression kKnown[] = {
    {kGpt2, Scanner::kGpt2, true, false},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
     R"(|\s*[\r\n]+|\s+(?!\S)|\s+)",
     Scanner::kLlama3, true, true},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
     R"(|\s*[\r\n]+|\s+(?!\S)|\s+)",
     Scanner::kQwen2, true, true},
    {R"(\p{N})", Scanner::kEachNumber, false, false},
    {R"(\p{N}{1,3})", Scanner::kNumberTriples, false, false},
    {R"(\p{N}+)", Scanner::kNumbers, false, false},
};

enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// Appends the words that `stretches` of one word make. `base` is where the word starts.
void join_stretches(const std::vector<Stretch>& stretches, Behavior behavior, bool invert,
                    size_t base, std::vector<Words::Range>& ranges) {
  std::vector<Words::Range> parts;
  bool previous = false;
  const bool backwards = behavior == Behavior::kMergedWithNext;
  for (size_t n = 0; n < stretches.size(); ++n) {
    const size_t i = backwards ? stretches.size() - 1 - n : n;
    const size_t start = base + (i == 0 ? 0 : stretches[i - 1].end);
    const size_t end = base + stretches[i].end;
    const bool is_delimiter = stretches[i].is_match != invert;
    bool joins = false;
    switch (behavior) {
      case Behavior::kRemoved:
        if (is_delimiter) continue;
        break;
      case Behavior::kIsolated:
        break;
      case Behavior::kMergedWithPrevious:
      case Behavior::kMergedWithNext:
        joins = is_delimiter && !previous;
        break;
      case Behavior::kContiguous:
        joins = is_delimiter == previous;
        break;
    }
    previous = is_delimiter;
    if (!joins || parts.empty()) {
      parts.push_back({start, end});
    } else if (backwards) {
      parts.back().start = start;
    } else {
      parts.back().end = end;
    }
  }
  if (backwards) std::reverse(parts.begin(), parts.end());
  for (const Words::Range& part : parts) {
    if (part.start < part.end) ranges.push_back(part);
  }
}

/// Cuts at the matches of a pattern.
class SplitStep final : public WordStep {
 public:
  SplitStep(std::unique_ptr<Pattern> pattern, Behavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}

  void apply(Words& words) const override {
    const auto matcher = pattern_->matcher();
    std::vector<Words::Range> ranges;
    std::vector<Stretch> stretches;
    for (const Words::Range& range : words.ranges()) {
      stretches.clear();
      matcher->find_all(words.word(range), stretches);
      if (behavior_ == Behavior::kIsolated) {  // by far the most frequent
        size_t start = range.start;
        for (const Stretch& stretch : stretches) {
          const size_t end = range.start + stretch.end;
          if (start < end) ranges.push_back({start, end});
          start = end;
        }
      } else {
        join_stretches(stretches, behavior_, invert_, range.start, ranges);
      }
    }
    words.set_ranges(std::move(ranges));
  }

 private:
  const std::unique_ptr<Pattern> pattern_;
  const Behavior behavior_;
  const bool invert_;
};

/// Cuts at every match of an expression that has a scanner.
class ScanStep final : public WordStep {
 public:
  explicit ScanStep(const KnownExpression& known, const JsonNode& node) : scanner_(known.scanner) {
    if (known.has_contractions)
      slow_ = std::make_unique<SplitStep>(make_regular_expression(known.text, node),
                                          Behavior::kIsolated, false);
  }

  void apply(Words& words) const override {
    // Without regard to case, Oniguruma takes U+017F for an s; the scanners do not.
    if (slow_ && words.text().find("'\u017F") != std::string_view::npos) return slow_->apply(words);
    std::vector<Words::Range> ranges;
    std::vector<size_t> ends;
    for (const Words::Range& range : words.ranges()) {
      ends.clear();
      scan(scanner_, words.word(range), range.start, ends);
      size_t start = range.start;
      for (const size_t end : ends) {
        if (start < end) ranges.push_back({start, end});
        start = end;
      }
    }
    words.set_ranges(std::move(ranges));
  }

 private:
  const Scanner scanner_;
  std::unique_ptr<SplitStep> slow_;
};

/// Cuts at characters of a kind, each a delimiter of its own.
class CharacterStep final : public WordStep {
 public:
  CharacterStep(std::function<bool(uint32_t)> is_delimiter, Behavior behavior)
      : is_delimiter_(std::move(is_delimiter)), behavior_(behavior) {}

  void apply(Words& words) const override {
    std::vector<Words::Range> ranges;
    std::vector<Stretch> stretches;
    for (const Words::Range& range : words.ranges()) {
      stretches.clear();
      size_t end = 0;
      for_each_character(words.word(range), [&](const DecodedCodePoint& point, auto bytes) {
        const bool is_match = point.valid && is_delimiter_(point.value);
        const bool grows = !is_match && !stretches.empty() && !stretches.back().is_match;
        end += bytes.size();
        if (!grows) stretches.push_back({end, is_match});
        stretches.back().end = end;
      });
      join_stretches(stretches, behavior_, false, range.start, ranges);
    }
    words.set_ranges(std::move(ranges));
  }

 private:
  const std::function<bool(uint32_t)> is_delimiter_;
  const Behavior behavior_;
};

/// Words are runs of characters of one class; class 0 belongs to no word.
class RunStep final : public WordStep {
 public:
  explicit RunStep(std::function<int(uint32_t)> class_of) : class_of_(std::move(class_of)) {}

  void apply(Words& words) const override {
    std::vector<Words::Range> ranges;
    for (const Words::Range& range : words.ranges()) {
      int previous = 0;
      size_t at = range.start;
      for_each_character(words.word(range), [&](const DecodedCodePoint& point, auto bytes) {
        const int kind = class_of_(point.value);
        if (kind != 0 && kind != previous) ranges.push_back({at, at});
        at += bytes.size();
        if (kind != 0) ranges.back().end = at;
        previous = kind;
      });
    }
    words.set_ranges(std::move(ranges));
  }

 private:
  const std::function<int(uint32_t)> class_of_;
};

class FixedLengthStep final : public WordStep {
 public:
  explicit FixedLengthStep(size_t length) : length_(length) {}

  void apply(Words& words) const override {
    std::vector<Words::Range> ranges;
    for (const Words::Range& range : words.ranges()) {
      size_t at = range.start, characters = 0;
      for_each_character(words.word(range), [&](const DecodedCodePoint&, auto bytes) {
        if (characters++ % length_ == 0) ranges.push_back({at, at});
        at += bytes.size();
        ranges.back().end = at;
      });
    }
    words.set_ranges(std::move(ranges));
  }

 private:
  const size_t length_;
};

/// Rewrites every word: `write(word, is at the text's start, out)` appends it as it shall be.
template <typename Write>
void rewrite(Words& words, size_t reserve, const Write& write) {
  std::string text;
  text.reserve(reserve);
  std::vector<Words::Range> ranges;
  ranges.reserve(words.ranges().size());
  for (const Words::Range& range : words.ranges()) {
    const size_t start = text.size();
    write(words.word(range), words.is_at_text_start(range), text);
    if (text.size() > start) ranges.push_back({start, text.size()});
  }
  words.set_text(std::move(text), std::move(ranges));
}

enum class Prepend { kFirst, kAlways, kNever };

/// Spaces become a visible character, and a word gets one in front.
class MetaspaceStep final : public WordStep {
 public:
  MetaspaceStep(std::string replacement, Prepend prepend, bool split)
      : replacement_(std::move(replacement)), prepend_(prepend) {
    if (split) {
      split_ =
          std::make_unique<SplitStep>(make_literal(replacement_), Behavior::kMergedWithNext, false);
    }
  }

  void apply(Words& words) const override {
    rewrite(words, words.text().size() * 3 / 2 + 3,
            [&](std::string_view word, bool at_text_start, std::string& out) {
              const bool has_one = word.starts_with(' ') || word.starts_with(replacement_);
              const bool wanted =
                  prepend_ == Prepend::kAlways || (prepend_ == Prepend::kFirst && at_text_start);
              if (wanted && !has_one) out += replacement_;
              for (const char c : word) {
                if (c == ' ') {
                  out += replacement_;
                } else {
                  out += c;
                }
              }
            });
    if (split_) split_->apply(words);
  }

 private:
  const std::string replacement_;
  const Prepend prepend_;
  std::unique_ptr<SplitStep> split_;
};

/// A space before each word that has none.
class PrefixSpaceStep final : public WordStep {
 public:
  void apply(Words& words) const override {
    const auto& ranges = words.ranges();
    const bool all_have = std::all_of(ranges.begin(), ranges.end(), [&](const Words::Range& range) {
      return words.word(range).starts_with(' ');
    });
    if (all_have) return;
    rewrite(words, words.text().size() + words.ranges().size(),
            [](std::string_view word, bool, std::string& out) {
              if (!word.starts_with(' ')) out += ' ';
              out += word;
            });
  }
};

/// Bytes written in the byte alphabet. As the last step it only says that they have to be.
class ByteAlphabetStep final : public WordStep {
 public:
  explicit ByteAlphabetStep(bool is_last) : is_last_(is_last) {}

  void apply(Words& words) const override {
    if (is_last_) {
      words.needs_byte_alphabet = true;
      return;
    }
    rewrite(words, words.text().size() * 2, [](std::string_view word, bool, std::string& out) {
      for (const char c : word)
        append_utf8(out, byte_alphabet().character[static_cast<uint8_t>(c)]);
    });
  }

 private:
  const bool is_last_;
};

Behavior read_behavior(const JsonNode& node, Behavior absent) {
  const auto member = node.find("behavior");
  if (!member) return absent;
  const std::string_view name = member->as_string();
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  member->unsupported("is " + in_quotes(name) + ", which this program does not know");
}

uint32_t read_character(const JsonNode& node) {
  const std::string_view text = node.as_string();
  const DecodedCodePoint point =
      text.empty() ? DecodedCodePoint{0, 0, false} : decode_utf8(text, 0);
  if (!point.valid || point.size != text.size()) node.fail("is not one character");
  return point.value;
}

bool is_any_punctuation(uint32_t c) {
  return is_ascii_punctuation(c) || is_punctuation(c);
}

using Steps = std::vector<std::unique_ptr<WordStep>>;

void add_characters(Steps& steps, std::function<bool(uint32_t)> test, Behavior behavior) {
  steps.push_back(std::make_unique<CharacterStep>(std::move(test), behavior));
}

/// Cuts at the matches of `expression`, with a scanner where there is one.
void add_expression(std::string_view expression, const JsonNode& node, Behavior behavior,
                    bool invert, Steps& steps) {
  for (const KnownExpression& known : kKnown) {
    if (expression != known.text) continue;
    const bool keeps_matches = behavior == Behavior::kRemoved && invert && known.covers_all;
    if (behavior != Behavior::kIsolated && !keeps_matches) break;
    steps.push_back(std::make_unique<ScanStep>(known, node));
    return;
  }
  steps.push_back(
      std::make_unique<SplitStep>(make_regular_expression(expression, node), behavior, invert));
}

void add_byte_level(const JsonNode& node, bool is_last, Steps& steps) {
  if (node.bool_or("add_prefix_space", true)) steps.push_back(std::make_unique<PrefixSpaceStep>());
  if (node.bool_or("use_regex", true))
    add_expression(kGpt2, node, Behavior::kIsolated, false, steps);
  steps.push_back(std::make_unique<ByteAlphabetStep>(is_last));
}

void add_metaspace(const JsonNode& node, Steps& steps) {
  std::string replacement = node.string_or("replacement", kSpaceMark);
  if (const auto member = node.find("replacement")) read_character(*member);
  Prepend prepend = Prepend::kAlways;
  const auto scheme = node.find("prepend_scheme");
  const std::string_view name = scheme ? scheme->as_string() : "always";
  if (name == "first") {
    prepend = Prepend::kFirst;
  } else if (name == "never") {
    prepend = Prepend::kNever;
  } else if (name != "always") {
    scheme->unsupported("is " + in_quotes(name) + ", which this program does not know");
  }
  // Files from before there were schemes say only whether.
  if (const auto add = node.find("add_prefix_space"); add && !add->as_bool()) {
    if (scheme && prepend != Prepend::kNever) add->fail("contradicts prepend_scheme");
    prepend = Prepend::kNever;
  }
  steps.push_back(std::make_unique<MetaspaceStep>(std::move(replacement), prepend,
                                                  node.bool_or("split", true)));
}

void add_split(const JsonNode& node, Steps& steps) {
  const JsonNode pattern = node.get("pattern");
  const Behavior behavior = read_behavior(node, Behavior::kIsolated);
  const bool invert = node.bool_or("invert", false);
  if (pattern.value().is_object()) {
    if (const auto expression = pattern.find("Regex"))
      return add_expression(expression->as_string(), *expression, behavior, invert, steps);
  }
  steps.push_back(std::make_unique<SplitStep>(read_pattern(pattern), behavior, invert));
}

void add_steps(const JsonNode& node, size_t depth, bool is_last, Steps& steps);

void add_sequence(const JsonNode& node, size_t depth, bool is_last, Steps& steps) {
  if (depth > kMaxDepth) node.fail("is a sequence inside more than 8 others");
  const auto members = node.get("pretokenizers").elements(kMaxSteps);
  for (const JsonNode& member : members)
    add_steps(member, depth, is_last && &member == &members.back(), steps);
  if (steps.size() > kMaxSteps) node.exceeds("steps", steps.size(), kMaxSteps);
}

/// `is_last`: nothing comes after these steps.
void add_steps(const JsonNode& node, size_t depth, bool is_last, Steps& steps) {
  const JsonNode type_node = node.get("type");
  const std::string_view type = type_node.as_string();
  if (type == "Sequence") return add_sequence(node, depth + 1, is_last, steps);
  if (type == "ByteLevel") return add_byte_level(node, is_last, steps);
  if (type == "Metaspace") return add_metaspace(node, steps);
  if (type == "Split") return add_split(node, steps);
  if (type == "Whitespace") {
    steps.push_back(std::make_unique<RunStep>([](uint32_t c) {
      return is_word_character(c) ? 1 : is_white_space(c) ? 0 : 2;
    }));
  } else if (type == "WhitespaceSplit") {
    add_characters(steps, is_white_space, Behavior::kRemoved);
  } else if (type == "BertPreTokenizer") {
    add_characters(steps, is_white_space, Behavior::kRemoved);
    add_characters(steps, is_any_punctuation, Behavior::kIsolated);
  } else if (type == "Punctuation") {
    add_characters(steps, is_any_punctuation, read_behavior(node, Behavior::kIsolated));
  } else if (type == "Digits") {
    const bool individual = node.bool_or("individual_digits", false);
    add_characters(steps, is_numeric, individual ? Behavior::kIsolated : Behavior::kContiguous);
  } else if (type == "CharDelimiterSplit") {
    const uint32_t delimiter = read_character(node.get("delimiter"));
    add_characters(steps, [delimiter](uint32_t c) { return c == delimiter; }, Behavior::kRemoved);
  } else if (type == "UnicodeScripts") {
    // What is matched stays: spaces before the first script belong to no word.
    steps.push_back(std::make_unique<SplitStep>(
        make_regular_expression(script_runs_expression(), node), Behavior::kRemoved, true));
  } else if (type == "FixedLength") {
    const uint32_t length = node.get("length").as_u32(1u << 20);
    if (length == 0) node.fail("has a length of 0");
    steps.push_back(std::make_unique<FixedLengthStep>(length));
  } else {
    type_node.unsupported("names the pre-tokenizer " + in_quotes(type) +
                          ", which this program does not know");
  }
}

bool ends_byte_level(const JsonNode& node) {
  if (node.get("type").as_string() == "ByteLevel") return true;
  if (node.get("type").as_string() != "Sequence") return false;
  const auto members = node.get("pretokenizers").elements(kMaxSteps);
  return !members.empty() && ends_byte_level(members.back());
}

}  // namespace

Words::Words(std::string_view text, bool at_text_start)
    : text_(text), at_text_start_(at_text_start) {
  if (!text.empty()) ranges_.push_back({0, text.size()});
}

void Words::set_text(std::string text, std::vector<Range> ranges) {
  owned_ = std::move(text);
  text_ = owned_;
  ranges_ = std::move(ranges);
}

WordSplitter::WordSplitter(const JsonNode& node) {
  add_steps(node, 0, true, steps_);
  is_byte_level_ = ends_byte_level(node);
}

void WordSplitter::split(Words& words) const {
  for (const auto& step : steps_) step->apply(words);
}

}  // namespace omg::huggingface
