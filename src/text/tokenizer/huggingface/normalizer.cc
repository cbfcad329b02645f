// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/huggingface/normalizer.h"

#include <functional>
#include <utf8proc.h>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"
#include "text/tokenizer/byte_alphabet.h"
#include "text/tokenizer/charsmap.h"
#include "text/tokenizer/huggingface/base64.h"
#include "text/tokenizer/huggingface/pattern.h"
#include "text/tokenizer/huggingface/unicode.h"

namespace omg::huggingface {
namespace {

constexpr size_t kMaxSteps = 64;
constexpr size_t kMaxDepth = 8;
constexpr size_t kMaxContent = 256;
constexpr size_t kMaxCharsmap = 16u << 20;

/// No published rule makes more of a character than 18 of up to 4 bytes.
size_t growth_limit(std::string_view text) {
  return text.size() * 64 + (1u << 16);
}

void check_growth(const std::string& out, size_t limit) {
  if (out.size() <= limit) return;
  throw Error(ErrorCode::kLimitExceeded,
              "cannot tokenize: the tokenizer's normalization makes the text more than 64 times as "
              "long; the tokenizer's file is damaged or hostile");
}

class Function final : public Normalizer {
 public:
  explicit Function(std::function<std::string(std::string_view)> function)
      : function_(std::move(function)) {}
  std::string normalize(std::string_view text) const override { return function_(text); }

 private:
  const std::function<std::string(std::string_view)> function_;
};

class Sequence final : public Normalizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<Normalizer>> steps) : steps_(std::move(steps)) {}

  std::string normalize(std::string_view text) const override {
    const size_t limit = growth_limit(text);
    std::string out(text);
    for (const auto& step : steps_) {
      out = step->normalize(out);
      check_growth(out, limit);
    }
    return out;
  }

 private:
  const std::vector<std::unique_ptr<Normalizer>> steps_;
};

class Replace final : public Normalizer {
 public:
  Replace(std::unique_ptr<Pattern> pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  std::string normalize(std::string_view text) const override {
    std::vector<Stretch> stretches;
    pattern_->matcher()->find_all(text, stretches);
    const size_t limit = growth_limit(text);
    std::string out;
    out.reserve(text.size());
    size_t start = 0;
    for (const Stretch& stretch : stretches) {
      if (stretch.is_match) {
        out += content_;
      } else {
        out += text.substr(start, stretch.end - start);
      }
      start = stretch.end;
      check_growth(out, limit);
    }
    return out;
  }

 private:
  const std::unique_ptr<Pattern> pattern_;
  const std::string content_;
};

std::string strip(std::string_view text, bool left, bool right) {
  size_t start = 0;
  while (left && start < text.size()) {
    const DecodedCodePoint point = decode_utf8(text, start);
    if (!point.valid || !is_white_space(point.value)) break;
    start += point.size;
  }
  size_t end = text.size();
  while (right && end > start) {
    size_t last = end - 1;
    while (last > start && (static_cast<uint8_t>(text[last]) & 0xC0) == 0x80) --last;
    const DecodedCodePoint point = decode_utf8(text, last);
    if (!point.valid || last + point.size != end || !is_white_space(point.value)) break;
    end = last;
  }
  return std::string(text.substr(start, end - start));
}

/// SentencePiece's "nmt" rules: some control characters vanish, others and odd spaces are spaces.
std::string nmt(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each_character(text, [&](const DecodedCodePoint& point, std::string_view bytes) {
    const uint32_t c = point.valid ? point.value : 'x';
    const bool vanishes = (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) ||
                          c == 0x7F || c == 0x8F || c == 0x9F;
    const bool is_space = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
                          (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 ||
                          c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
    if (is_space) {
      out += ' ';
    } else if (!vanishes) {
      out += bytes;
    }
  });
  return out;
}

struct BertRules {
  bool clean_text = true;
  bool chinese_characters = true;
  bool strip_accents = true;
  bool lowercase = true;
};

bool is_chinese(uint32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

/// Spaces for white space, nothing for what is not printed, spaces around Chinese characters.
std::string clean_for_bert(std::string_view text, const BertRules& rules) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for_each_character(text, [&](const DecodedCodePoint& point, std::string_view bytes) {
    const uint32_t c = point.value;
    if (!point.valid) {
      out += bytes;
    } else if (rules.clean_text && (c == '\t' || c == '\n' || c == '\r')) {
      out += ' ';
    } else if (rules.clean_text && (c == 0 || c == 0xFFFD || is_other(c))) {
      return;  // also the other controls that are white space
    } else if (rules.clean_text && is_white_space(c)) {
      out += ' ';
    } else if (rules.chinese_characters && is_chinese(c)) {
      out.append(" ").append(bytes).append(" ");
    } else {
      out += bytes;
    }
  });
  return out;
}

std::string normalize_for_bert(std::string_view text, const BertRules& rules) {
  std::string out = clean_for_bert(text, rules);
  if (rules.strip_accents) {
    out = filter_characters(normalize(out, NormalForm::kNfd),
                            [](uint32_t c) { return !is_nonspacing_mark(c); });
  }
  return rules.lowercase ? to_lower(out) : out;
}

std::string to_byte_alphabet(std::string_view text) {
  std::string out;
  out.reserve(text.size() * 2);
  for (const char c : text) append_utf8(out, byte_alphabet().character[static_cast<uint8_t>(c)]);
  return out;
}

/// Length of the grapheme cluster (UAX #29) at the front of `text`.
size_t grapheme_length(std::string_view text) {
  DecodedCodePoint point = decode_utf8(text, 0);
  size_t length = point.size;
  utf8proc_int32_t state = 0;
  while (length < text.size() && point.valid) {
    const DecodedCodePoint next = decode_utf8(text, length);
    if (!next.valid ||
        utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(point.value),
                                         static_cast<utf8proc_int32_t>(next.value), &state)) {
      break;
    }
    length += next.size;
    point = next;
  }
  return length;
}

/// Grapheme clusters of up to 5 bytes are replaced as a whole by what their shortest known prefix
/// stands for, others character by character; the library differs from SentencePiece in this.
std::string apply_charsmap(std::string_view text, const Charsmap& map) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  const size_t limit = growth_limit(text);
  while (!text.empty()) {
    const std::string_view grapheme = text.substr(0, grapheme_length(text));
    text.remove_prefix(grapheme.size());
    check_growth(out, limit);
    if (grapheme.size() < 6) {
      if (const auto match = map.shortest(grapheme)) {
        out += match->replacement;
        continue;
      }
    }
    for_each_character(grapheme, [&](const DecodedCodePoint&, std::string_view bytes) {
      const auto match = map.shortest(bytes);
      out += match ? match->replacement : bytes;
    });
  }
  return out;
}

std::string short_content(const JsonNode& node, std::string_view key) {
  const JsonNode content = node.get(key);
  const std::string_view text = content.as_string();
  if (text.size() > kMaxContent) content.exceeds("bytes", text.size(), kMaxContent);
  return std::string(text);
}

std::unique_ptr<Normalizer> make(std::function<std::string(std::string_view)> function) {
  return std::make_unique<Function>(std::move(function));
}

std::unique_ptr<Normalizer> make(NormalForm form) {
  return make([form](std::string_view text) { return normalize(text, form); });
}

std::unique_ptr<Normalizer> read_charsmap(const JsonNode& node) {
  const auto member = node.find("precompiled_charsmap");
  if (!member) return make([](std::string_view text) { return std::string(text); });
  const std::string_view encoded = member->as_string();
  if (encoded.size() > kMaxCharsmap) member->exceeds("bytes", encoded.size(), kMaxCharsmap);
  const auto bytes = decode_base64(encoded);
  if (!bytes) member->fail("is not base64");
  if (bytes->empty()) return make([](std::string_view text) { return std::string(text); });
  auto map = std::make_shared<Charsmap>(*bytes, member->file() + ": " + member->path());
  return make([map](std::string_view text) { return apply_charsmap(text, *map); });
}

std::unique_ptr<Normalizer> read_bert(const JsonNode& node) {
  BertRules rules;
  rules.clean_text = node.bool_or("clean_text", true);
  rules.chinese_characters = node.bool_or("handle_chinese_chars", true);
  rules.lowercase = node.bool_or("lowercase", true);
  rules.strip_accents = node.bool_or("strip_accents", rules.lowercase);
  return make([rules](std::string_view text) { return normalize_for_bert(text, rules); });
}

std::unique_ptr<Normalizer> read(const JsonNode& node, size_t depth);

std::unique_ptr<Normalizer> read_sequence(const JsonNode& node, size_t depth) {
  if (depth > kMaxDepth) node.fail("is a sequence inside more than 8 others");
  std::vector<std::unique_ptr<Normalizer>> steps;
  for (const JsonNode& step : node.get("normalizers").elements(kMaxSteps))
    steps.push_back(read(step, depth));
  return std::make_unique<Sequence>(std::move(steps));
}

std::unique_ptr<Normalizer> read(const JsonNode& node, size_t depth) {
  const JsonNode type_node = node.get("type");
  const std::string_view type = type_node.as_string();
  if (type == "Sequence") return read_sequence(node, depth + 1);
  if (type == "NFC") return make(NormalForm::kNfc);
  if (type == "NFD") return make(NormalForm::kNfd);
  if (type == "NFKC") return make(NormalForm::kNfkc);
  if (type == "NFKD") return make(NormalForm::kNfkd);
  if (type == "Lowercase") return make([](std::string_view text) { return to_lower(text); });
  if (type == "StripAccents") {
    return make([](std::string_view text) {
      return filter_characters(text, [](uint32_t c) { return !is_mark(c); });
    });
  }
  if (type == "Strip") {
    const bool left = node.bool_or("strip_left", true);
    const bool right = node.bool_or("strip_right", true);
    return make([left, right](std::string_view text) { return strip(text, left, right); });
  }
  if (type == "Replace") {
    return std::make_unique<Replace>(read_pattern(node.get("pattern")),
                                     short_content(node, "content"));
  }
  if (type == "Prepend") {
    return make([prefix = short_content(node, "prepend")](std::string_view text) {
      return text.empty() ? std::string() : prefix + std::string(text);
    });
  }
  if (type == "BertNormalizer") return read_bert(node);
  if (type == "Nmt") return make([](std::string_view text) { return nmt(text); });
  if (type == "Precompiled") return read_charsmap(node);
  if (type == "ByteLevel")
    return make([](std::string_view text) { return to_byte_alphabet(text); });
  type_node.unsupported("names the normalizer " + in_quotes(type) +
                        ", which this program does not know");
}

}  // namespace

std::unique_ptr<Normalizer> read_normalizer(const JsonNode& node) {
  return read(node, 0);
}

}  // namespace omg::huggingface
