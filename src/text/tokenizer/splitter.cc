// SPDX-License-Identifier: Apache-2.0
//
// The common patterns have scanners. Others run in PCRE2 with its just-in-time compiler, over text
// that is known to be UTF-8: text that is not is copied with U+FFFD for every bad byte, split, and
// the cuts are mapped back. The few steps that no pattern expresses in linear time are written out.
#include "text/tokenizer/splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <algorithm>
#include <iterator>
#include <optional>
#include <pcre2.h>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "text/tokenizer/character_class.h"

namespace omg {
namespace {

struct MatchDataFree {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct MatchContextFree {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

// No pattern of the table needs more than a few steps per byte of one word; these stop one that
// would, and 64 MiB of heap is for the interpreter only, where the JIT is refused.
constexpr uint32_t kMatchLimit = 100'000'000;
constexpr uint32_t kHeapLimitKiB = 64u << 10;

/// PCRE2's \s differs from White_Space in U+180E, so the set is spelled out.
std::string expand_whitespace(std::string_view pattern) {
  static constexpr std::string_view kSet =
      R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      const char escaped = pattern[++i];
      if (escaped == 's' && in_class) {
        out += kSet;
      } else if (escaped == 's' || escaped == 'S') {
        out.append(escaped == 's' ? "[" : "[^").append(kSet).append("]");
      } else {
        out.append({'\\', escaped});
      }
      continue;
    }
    if (pattern[i] == '[') in_class = true;
    if (pattern[i] == ']') in_class = false;
    out += pattern[i];
  }
  return out;
}

bool is_ascii_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Characters of Unicode 15.0 and 15.1 (llama.cpp's tables), which PCRE2 10.42 (Unicode 14) takes
/// for unassigned. `stand_in` has the same general category and the same length in UTF-8, and
/// stands in none of the patterns' ranges.
struct NewCharacters {
  uint32_t first, last, stand_in;
};
constexpr uint32_t kMark3 = 0x0A01;  // the number is the length in UTF-8
constexpr uint32_t kSymbol3 = 0x2500;
constexpr uint32_t kLetter4 = 0x10000;
constexpr uint32_t kMark4 = 0x101FD;
constexpr uint32_t kNumber4 = 0x10107;
constexpr uint32_t kPunctuation4 = 0x10100;
constexpr uint32_t kSymbol4 = 0x1F600;
constexpr NewCharacters kNewCharacters[] = {
    {0xCF3, 0xCF3, kMark3},       {0xECE, 0xECE, kMark3},
    {0x2FFC, 0x2FFF, kSymbol3},   {0x31EF, 0x31EF, kSymbol3},
    {0x10EFD, 0x10EFF, kMark4},   {0x1123F, 0x11240, kLetter4},
    {0x11241, 0x11241, kMark4},   {0x11B00, 0x11B09, kPunctuation4},
    {0x11F00, 0x11F01, kMark4},   {0x11F02, 0x11F02, kLetter4},
    {0x11F03, 0x11F03, kMark4},   {0x11F04, 0x11F10, kLetter4},
    {0x11F12, 0x11F33, kLetter4}, {0x11F34, 0x11F3A, kMark4},
    {0x11F3E, 0x11F42, kMark4},   {0x11F43, 0x11F4F, kPunctuation4},
    {0x11F50, 0x11F59, kNumber4}, {0x1342F, 0x1342F, kLetter4},
    {0x13440, 0x13440, kMark4},   {0x13441, 0x13446, kLetter4},
    {0x13447, 0x13455, kMark4},   {0x1B132, 0x1B132, kLetter4},
    {0x1B155, 0x1B155, kLetter4}, {0x1D2C0, 0x1D2D3, kNumber4},
    {0x1DF25, 0x1DF2A, kLetter4}, {0x1E030, 0x1E06D, kLetter4},
    {0x1E08F, 0x1E08F, kMark4},   {0x1E4D0, 0x1E4EB, kLetter4},
    {0x1E4EC, 0x1E4EF, kMark4},   {0x1E4F0, 0x1E4F9, kNumber4},
    {0x1F6DC, 0x1F6DC, kSymbol4}, {0x1F774, 0x1F776, kSymbol4},
    {0x1F77B, 0x1F77F, kSymbol4}, {0x1F7D9, 0x1F7D9, kSymbol4},
    {0x1FA75, 0x1FA77, kSymbol4}, {0x1FA87, 0x1FA88, kSymbol4},
    {0x1FAAD, 0x1FAAF, kSymbol4}, {0x1FABB, 0x1FABD, kSymbol4},
    {0x1FABF, 0x1FABF, kSymbol4}, {0x1FACE, 0x1FACF, kSymbol4},
    {0x1FADA, 0x1FADB, kSymbol4}, {0x1FAE8, 0x1FAE8, kSymbol4},
    {0x1FAF7, 0x1FAF8, kSymbol4}, {0x2B739, 0x2B739, kLetter4},
    {0x2EBF0, 0x2EE5D, kLetter4}, {0x31350, 0x323AF, kLetter4},
};

/// The character itself, or for a new one an old one that every pattern treats alike.
uint32_t known_equivalent(uint32_t c) {
  if (c < std::begin(kNewCharacters)->first) return c;
  const auto* row = std::lower_bound(std::begin(kNewCharacters), std::end(kNewCharacters), c,
                                     [](const NewCharacters& r, uint32_t v) { return r.last < v; });
  return row != std::end(kNewCharacters) && row->first <= c ? row->stand_in : c;
}

/// Length of the longest beginning that PCRE2 may see as it is: UTF-8 without new characters.
size_t plain_prefix(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    if (static_cast<uint8_t>(text[i]) < 0x80) {
      ++i;
      continue;
    }
    const DecodedCodePoint point = decode_utf8(text, i);
    if (!point.valid || known_equivalent(point.value) != point.value) break;
    i += point.size;
  }
  return i;
}

void split_newline_runs(std::string_view text, size_t base, std::vector<size_t>& ends) {
  for (size_t i = 1; i < text.size(); ++i) {
    if ((text[i] == '\n') != (text[i - 1] == '\n')) ends.push_back(base + i);
  }
  ends.push_back(base + text.size());
}

/// Cuts runs of ASCII digits so that groups of three are counted from the right: a cut wherever the
/// digits left in the run are a multiple of three, also before the first.
void split_trailing_digits(std::string_view text, size_t base, std::vector<size_t>& ends) {
  for (size_t i = 0; i < text.size();) {
    if (!is_ascii_digit(text[i])) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() && is_ascii_digit(text[end])) ++end;
    for (size_t cut = i + (end - i) % 3; cut < end; cut += 3) {
      if (cut > 0) ends.push_back(base + cut);
    }
    i = end;
  }
  ends.push_back(base + text.size());
}

/// Cuts each number (\p{N}+) after its first (length mod 3) digits, or three, and then after every
/// three. Nothing is cut before a number: its first group stays with what precedes it.
void split_digit_groups(std::string_view text, size_t base, std::vector<size_t>& ends) {
  const CharacterTable& characters = character_table();
  const auto number_at = [&](size_t i) -> size_t {  // its size; 0 for none
    if (i >= text.size()) return 0;
    const DecodedCodePoint point = decode_utf8(text, i);
    return characters.flags(point.value) & kNumber ? point.size : 0;
  };
  size_t last_cut = 0;
  for (size_t i = 0; i < text.size();) {
    size_t digits = 0, end = i;
    for (size_t size = number_at(i); size > 0; size = number_at(end)) {
      ++digits;
      end += size;
    }
    if (digits == 0) i += decode_utf8(text, i).size;
    while (i < end) {
      i += number_at(i);
      if (--digits % 3 == 0) ends.push_back(base + (last_cut = i));
    }
  }
  if (last_cut < text.size()) ends.push_back(base + text.size());
}

void split_trailing_space(std::string_view text, size_t base, std::vector<size_t>& ends) {
  size_t cut = text.size();
  while (cut > 0) {
    size_t start = cut - 1;
    while (start > 0 && (static_cast<uint8_t>(text[start]) & 0xC0) == 0x80) --start;
    if (!(character_table().flags(decode_utf8(text, start).value) & kWhitespace)) break;
    cut = start;
  }
  if (cut > 0) ends.push_back(base + cut);
  if (cut < text.size()) ends.push_back(base + text.size());
}

}  // namespace

/// One compiled pattern.
class Splitter::Pattern {
 public:
  explicit Pattern(const char* pattern) {
    const std::string expanded = expand_whitespace(pattern);
    int code = 0;
    PCRE2_SIZE offset = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expanded.data()), expanded.size(),
                              PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &code, &offset,
                              nullptr));
    if (!code_) {
      throw Error(ErrorCode::kInternal, "pre-tokenizer pattern does not compile: PCRE2 error " +
                                            std::to_string(code) + " at " + std::to_string(offset) +
                                            " of " + expanded);
    }
    // Where executable memory is refused the interpreter gives the same matches.
    jit_ = pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE) == 0;
  }

  /// Working memory of one call to split().
  class Matcher {
   public:
    explicit Matcher(const Pattern& pattern)
        : pattern_(pattern),
          data_(pcre2_match_data_create(1, nullptr)),
          context_(pcre2_match_context_create(nullptr)) {
      if (!data_ || !context_) throw Error(ErrorCode::kOutOfMemory, "out of memory in PCRE2");
      pcre2_set_match_limit(context_.get(), kMatchLimit);
      pcre2_set_heap_limit(context_.get(), kHeapLimitKiB);
    }

    /// The first match at or after `from`; false when there is none.
    bool find(std::string_view text, size_t from, size_t& start, size_t& end) {
      const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
      int result;
      if (pattern_.jit_) {
        result = pcre2_jit_match(pattern_.code_.get(), subject, text.size(), from,
                                 PCRE2_NO_UTF_CHECK, data_.get(), context_.get());
      } else {
        result = pcre2_match(pattern_.code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK,
                             data_.get(), context_.get());
      }
      if (result < 0) return false;
      const PCRE2_SIZE* ovector = pcre2_get_ovector_pointer(data_.get());
      start = ovector[0];
      end = ovector[1];
      return end > start;
    }

   private:
    const Pattern& pattern_;
    std::unique_ptr<pcre2_match_data, MatchDataFree> data_;
    std::unique_ptr<pcre2_match_context, MatchContextFree> context_;
  };

 private:
  struct CodeFree {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  };
  std::unique_ptr<pcre2_code, CodeFree> code_;
  bool jit_ = false;
};

struct Splitter::Step {
  SplitKind kind;
  Scanner scanner;
  std::unique_ptr<Pattern> pattern;  // kRegex without a scanner
};

namespace {

template <typename Matcher>
void split_matches(Matcher& matcher, std::string_view text, size_t base,
                   std::vector<size_t>& ends) {
  size_t done = 0, start = 0, end = 0;
  while (done < text.size() && matcher.find(text, done, start, end)) {
    if (start > done) ends.push_back(base + start);
    ends.push_back(base + end);
    done = end;
  }
  if (done < text.size()) ends.push_back(base + text.size());
}

}  // namespace

Splitter::Splitter(std::span<const SplitStep> steps) {
  for (const SplitStep& step : steps) {
    std::unique_ptr<Pattern> pattern;
    if (step.kind == SplitKind::kRegex && step.scanner == Scanner::kNone) {
      pattern = std::make_unique<Pattern>(step.pattern);
      needs_utf8_ = true;
    }
    steps_.push_back({step.kind, step.scanner, std::move(pattern)});
  }
}

Splitter::~Splitter() = default;

void Splitter::split(std::string_view text, std::vector<size_t>& ends) const {
  if (!needs_utf8_) return split_steps(text, ends);
  const size_t plain = plain_prefix(text);
  if (plain == text.size()) return split_steps(text, ends);
  std::string repaired(text.substr(0, plain));
  std::vector<std::pair<size_t, size_t>> repairs;  // where in `repaired`; bytes more than in `text`
  repaired.reserve(text.size() + text.size() / 8);
  for (size_t i = plain; i < text.size();) {
    const DecodedCodePoint point = decode_utf8(text, i);
    i += point.size;
    append_utf8(repaired, point.valid ? known_equivalent(point.value) : 0xFFFD);
    if (!point.valid) repairs.emplace_back(repaired.size(), repaired.size() - i);
  }
  split_steps(repaired, ends);
  size_t repair = 0, surplus = 0;
  for (size_t& end : ends) {
    for (; repair < repairs.size() && repairs[repair].first <= end; ++repair)
      surplus = repairs[repair].second;
    end -= surplus;
  }
}

void Splitter::split_steps(std::string_view text, std::vector<size_t>& ends) const {
  ends.clear();
  if (text.empty()) return;
  ends.push_back(text.size());
  std::vector<size_t> pieces;
  for (const Step& step : steps_) {
    pieces.swap(ends);
    ends.clear();
    std::optional<Pattern::Matcher> matcher;
    if (step.pattern) matcher.emplace(*step.pattern);
    size_t start = 0;
    for (const size_t end : pieces) {
      const std::string_view piece = text.substr(start, end - start);
      switch (step.kind) {
        case SplitKind::kRegex:
          if (matcher) {
            split_matches(*matcher, piece, start, ends);
          } else {
            scan(step.scanner, piece, start, ends);
          }
          break;
        case SplitKind::kDigitGroups:
          split_digit_groups(piece, start, ends);
          break;
        case SplitKind::kNewlineRuns:
          split_newline_runs(piece, start, ends);
          break;
        case SplitKind::kTrailingDigits:
          split_trailing_digits(piece, start, ends);
          break;
        case SplitKind::kTrailingSpace:
          split_trailing_space(piece, start, ends);
          break;
      }
      start = end;
    }
  }
}

}  // namespace omg
