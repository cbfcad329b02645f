// SPDX-License-Identifier: Apache-2.0
//
// The patterns fall into three families: GPT-2's, Llama 3's with its many variations, and runs of
// numbers. A family is a function over constants, compiled once for each pattern.
#include "text/tokenizer/scanner.h"

#include "base/utf8.h"
#include "text/tokenizer/character_class.h"

namespace omg {
namespace {

struct Character {
  uint32_t value = 0;
  uint32_t size = 0;  // 0 past the end
  uint8_t flags = 0;
  bool is(uint8_t set) const { return (flags & set) != 0; }
};

constexpr uint8_t kWordOrSpace = kLetter | kNumber | kWhitespace;

/// The piece being scanned.
class Text {
 public:
  explicit Text(std::string_view text) : text_(text) {}

  size_t size() const { return text_.size(); }
  Character at(size_t i) const {
    if (i >= text_.size()) return {};
    const auto byte = static_cast<uint8_t>(text_[i]);
    if (byte < 0x80) return {byte, 1, table_.flags(byte)};
    const DecodedCodePoint point = decode_utf8(text_, i);
    return {point.value, point.size, table_.flags(point.value)};
  }
  /// Byte for ASCII tests; 0 past the end.
  char byte(size_t i) const { return i < text_.size() ? text_[i] : '\0'; }

  /// End of the run of characters of `set` that begins at i.
  size_t skip(size_t i, uint8_t set) const {
    for (Character c = at(i); c.is(set); c = at(i)) i += c.size;
    return i;
  }
  /// End of the run of characters that are in none of `set`.
  size_t skip_others(size_t i, uint8_t set) const {
    for (Character c = at(i); c.size > 0 && !c.is(set); c = at(i)) i += c.size;
    return i;
  }

 private:
  std::string_view text_;
  const CharacterTable& table_ = character_table();
};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 0x20) : c;
}

/// Length of 's 't 'm 'd 're 've 'll at i; 0 for none.
template <bool kAnyCase>
size_t contraction(const Text& text, size_t i) {
  if (text.byte(i) != '\'') return 0;
  const auto letter = [&](size_t k) { return kAnyCase ? lower(text.byte(k)) : text.byte(k); };
  const char first = letter(i + 1);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  const char second = letter(i + 2);
  if ((first == 'r' || first == 'v') && second == 'e') return 3;
  return first == 'l' && second == 'l' ? 3 : 0;
}

/// White space at i: up to the last newline of its run (`newlines`), else all of it but the last
/// character if something follows that character.
size_t scan_space(const Text& text, size_t i, bool newlines) {
  size_t end = i, last = i, after_newline = 0;
  for (Character c = text.at(i); c.is(kWhitespace); c = text.at(end)) {
    last = end;
    end += c.size;
    if (c.value == '\n' || c.value == '\r') after_newline = end;
  }
  if (newlines && after_newline > 0) return after_newline;
  return last > i && end < text.size() ? last : end;
}

size_t next_gpt2(const Text& text, size_t i) {
  if (const size_t length = contraction<false>(text, i)) return i + length;
  const size_t start = text.byte(i) == ' ' ? i + 1 : i;
  const Character c = text.at(start);
  if (c.is(kLetter)) return text.skip(start, kLetter);
  if (c.is(kNumber)) return text.skip(start, kNumber);
  if (c.size > 0 && !c.is(kWhitespace)) return text.skip_others(start, kWordOrSpace);
  return scan_space(text, i, false);
}

struct Rules {
  enum Contractions : uint8_t { kNever, kBefore, kAfter };  // as a word, or at the end of one
  Contractions contractions = kBefore;
  uint8_t word = kLetter;
  uint8_t no_symbol = kWordOrSpace;
  bool cased = false;     // a capital after a small letter begins a word
  bool han = false;       // runs of Han are words of their own
  size_t digits = 1;      // in one word; 0 for all
  const char* tail = "";  // what symbols draw after them
};

bool in_tail(const char* tail, char c) {
  for (; *tail != '\0'; ++tail) {
    if (*tail == c) return true;
  }
  return false;
}

/// The blocks that llama.cpp takes for Han, whether assigned or not.
bool is_han(uint32_t c) {
  return (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x4E00 && c <= 0x9FFF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2EBEF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

template <Rules kRules>
bool in_word(const Character& c) {
  return c.is(kRules.word) && !(kRules.han && is_han(c.value));
}

bool is_small(uint32_t c) {
  return c >= 'a' && c <= 'z';
}
bool is_capital(uint32_t c) {
  return c >= 'A' && c <= 'Z';
}

struct CasedMatch {
  size_t any_then_small;  // "letters but a-z, any number, then letters but A-Z, one or more"; 0: no
  size_t capitals;        // the same with the "one or more" the other way round
};

/// Only ASCII letters have a case here: others count as both.
template <Rules kRules>
CasedMatch match_cased(const Text& text, size_t start) {
  size_t i = start, after_caseless = 0;
  Character c = text.at(i);
  for (; in_word<kRules>(c) && !is_small(c.value); c = text.at(i)) {
    i += c.size;
    if (!is_capital(c.value)) after_caseless = i;
  }
  CasedMatch match = {after_caseless, i > start ? i : 0};
  if (!is_small(c.value)) return match;
  while (in_word<kRules>(c) && !is_capital(c.value)) {
    i += c.size;
    c = text.at(i);
  }
  match.any_then_small = i;
  if (match.capitals > 0) match.capitals = i;
  return match;
}

/// End of a word that begins at i; 0 for none. `first` stands at i.
template <Rules kRules>
size_t match_word(const Text& text, size_t i, const Character& first) {
  const bool leads = first.value != '\r' && first.value != '\n' && !first.is(kLetter | kNumber);
  if constexpr (kRules.cased) {
    const CasedMatch with = leads ? match_cased<kRules>(text, i + first.size) : CasedMatch{0, 0};
    if (with.any_then_small > 0) return with.any_then_small;
    if (!in_word<kRules>(first)) return with.capitals;
    const CasedMatch without = match_cased<kRules>(text, i);
    if (without.any_then_small > 0) return without.any_then_small;
    return with.capitals > 0 ? with.capitals : without.capitals;
  } else {
    size_t end = i;
    Character c = first;
    if (leads && !in_word<kRules>(first)) c = text.at(end = i + first.size);
    if (!in_word<kRules>(c)) return 0;
    while (in_word<kRules>(c)) {
      end += c.size;
      c = text.at(end);
    }
    return end;
  }
}

template <Rules kRules>
size_t next_llama3(const Text& text, size_t i) {
  if constexpr (kRules.contractions == Rules::kBefore) {
    if (const size_t length = contraction<true>(text, i)) return i + length;
  }
  const Character first = text.at(i);
  if constexpr (kRules.han) {
    size_t end = i;
    for (Character c = first; is_han(c.value); c = text.at(end)) end += c.size;
    if (end > i) return end;
  }
  if (const size_t end = match_word<kRules>(text, i, first)) {
    return kRules.contractions == Rules::kAfter ? end + contraction<true>(text, end) : end;
  }
  if (first.is(kNumber)) {
    if (kRules.digits == 0) return text.skip(i, kNumber);
    Character c = first;
    for (size_t k = 0; k < kRules.digits && c.is(kNumber); ++k) {
      i += c.size;
      c = text.at(i);
    }
    return i;
  }
  const size_t start = first.value == ' ' ? i + 1 : i;
  const Character symbol = start == i ? first : text.at(start);
  if (symbol.size > 0 && !symbol.is(kRules.no_symbol)) {
    size_t end = text.skip_others(start, kRules.no_symbol);
    while (end < text.size() && in_tail(kRules.tail, text.byte(end))) ++end;
    return end;
  }
  return scan_space(text, i, true);
}

template <typename Next>
void scan_words(std::string_view piece, size_t base, std::vector<size_t>& ends, const Next& next) {
  const Text text(piece);
  for (size_t i = 0; i < piece.size();) {
    const size_t end = next(text, i);
    // A character that nothing matches, if a pattern has such, is a word.
    i = end > i ? end : i + text.at(i).size;
    ends.push_back(base + i);
  }
}

template <Rules kRules>
void scan_llama3(std::string_view text, size_t base, std::vector<size_t>& ends) {
  scan_words(text, base, ends, [](const Text& t, size_t i) { return next_llama3<kRules>(t, i); });
}

/// Numbers in words of up to `digits` (0: all), and all that is between them.
void scan_numbers(std::string_view piece, size_t base, size_t digits, std::vector<size_t>& ends) {
  scan_words(piece, base, ends, [digits](const Text& text, size_t i) {
    if (!text.at(i).is(kNumber)) return text.skip_others(i, kNumber);
    if (digits == 0) return text.skip(i, kNumber);
    for (size_t k = 0; k < digits && text.at(i).is(kNumber); ++k) i += text.at(i).size;
    return i;
  });
}

constexpr char kNewlineTail[] = "\r\n";
constexpr char kSlashTail[] = "\r\n/";
constexpr char kNoTail[] = "";
constexpr uint8_t kMarked = kLetter | kMark;

constexpr Rules kLlama3Rules = {.digits = 3, .tail = kNewlineTail};
constexpr Rules kQwen2Rules = {.digits = 1, .tail = kNewlineTail};
constexpr Rules kQwen35Rules = {
    .word = kMarked, .no_symbol = kWordOrSpace | kMark, .digits = 1, .tail = kNewlineTail};
constexpr Rules kMinicpm5Rules = {.digits = 0, .tail = kNewlineTail};
constexpr Rules kSeedCoderRules = {.digits = 1, .tail = kNoTail};
constexpr Rules kTekkenRules = {
    .contractions = Rules::kNever, .cased = true, .digits = 1, .tail = kSlashTail};
constexpr Rules kGpt4oRules = {
    .contractions = Rules::kAfter, .cased = true, .digits = 3, .tail = kSlashTail};
constexpr Rules kGraniteRules = {
    .contractions = Rules::kAfter, .word = kMarked, .cased = true, .digits = 3, .tail = kSlashTail};
constexpr Rules kTinyAyaRules = {
    .contractions = Rules::kAfter, .word = kMarked, .digits = 3, .tail = kSlashTail};
constexpr Rules kYoutuRules = {
    .contractions = Rules::kAfter, .word = kMarked, .digits = 1, .tail = kSlashTail};
constexpr Rules kKimiRules = {
    .contractions = Rules::kAfter, .han = true, .digits = 3, .tail = kNewlineTail};

}  // namespace

void scan(Scanner scanner, std::string_view text, size_t base, std::vector<size_t>& ends) {
  switch (scanner) {
    case Scanner::kNone:
      if (!text.empty()) ends.push_back(base + text.size());
      return;
    case Scanner::kGpt2:
      return scan_words(text, base, ends, next_gpt2);
    case Scanner::kLlama3:
      return scan_llama3<kLlama3Rules>(text, base, ends);
    case Scanner::kQwen2:
      return scan_llama3<kQwen2Rules>(text, base, ends);
    case Scanner::kQwen35:
      return scan_llama3<kQwen35Rules>(text, base, ends);
    case Scanner::kMinicpm5:
      return scan_llama3<kMinicpm5Rules>(text, base, ends);
    case Scanner::kSeedCoder:
      return scan_llama3<kSeedCoderRules>(text, base, ends);
    case Scanner::kTekken:
      return scan_llama3<kTekkenRules>(text, base, ends);
    case Scanner::kGpt4o:
      return scan_llama3<kGpt4oRules>(text, base, ends);
    case Scanner::kGraniteEmbedding:
      return scan_llama3<kGraniteRules>(text, base, ends);
    case Scanner::kTinyAya:
      return scan_llama3<kTinyAyaRules>(text, base, ends);
    case Scanner::kYoutu:
      return scan_llama3<kYoutuRules>(text, base, ends);
    case Scanner::kKimi:
      return scan_llama3<kKimiRules>(text, base, ends);
    case Scanner::kEachNumber:
      return scan_numbers(text, base, 1, ends);
    case Scanner::kNumberTriples:
      return scan_numbers(text, base, 3, ends);
    case Scanner::kNumbers:
      return scan_numbers(text, base, 0, ends);
  }
}

}  // namespace omg
