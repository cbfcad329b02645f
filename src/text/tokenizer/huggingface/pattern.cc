// SPDX-License-Identifier: Apache-2.0
//
// Expressions run in PCRE2 with its just-in-time compiler. Its Unicode (14.0 in Debian 12) is that
// of the Oniguruma in Hugging Face's library.
#include "text/tokenizer/huggingface/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <algorithm>
#include <optional>
#include <pcre2.h>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"

namespace omg::huggingface {
namespace {

constexpr size_t kMaxExpression = 64u << 10;
// A match may take as many steps as this and 64 for each byte of the text; published expressions
// need a few for each byte of a word.
constexpr uint32_t kFreeSteps = 1u << 20;
constexpr uint32_t kHeapLimitKiB = 64u << 10;
constexpr size_t kMaxJitStack = 8u << 20;
// Exhausted limits that one text may cost before the pattern is given up for all the rest of it.
constexpr int kMaxFailures = 8;

struct CodeFree {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct MatchDataFree {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct MatchContextFree {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct CompileContextFree {
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
};
struct JitStackFree {
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};

class Literal final : public Pattern {
 public:
  explicit Literal(std::string text) : text_(std::move(text)) {}

  std::unique_ptr<Matcher> matcher() const override { return std::make_unique<Find>(text_); }

 private:
  class Find final : public Matcher {
   public:
    explicit Find(const std::string& wanted) : wanted_(wanted) {}

    void find_all(std::string_view text, std::vector<Stretch>& stretches) override {
      size_t done = 0;
      for (size_t start; (start = text.find(wanted_, done)) != std::string_view::npos;) {
        if (start > done) stretches.push_back({start, false});
        done = start + wanted_.size();
        stretches.push_back({done, true});
      }
      if (done < text.size()) stretches.push_back({text.size(), false});
    }

   private:
    const std::string& wanted_;
  };

  const std::string text_;
};

class RegularExpression final : public Pattern {
 public:
  explicit RegularExpression(std::unique_ptr<pcre2_code, CodeFree> code) : code_(std::move(code)) {
    // Where executable memory is refused the interpreter gives the same matches.
    jit_ = pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE) == 0;
  }

  std::unique_ptr<Matcher> matcher() const override { return std::make_unique<Run>(*this); }

 private:
  class Run final : public Matcher {
   public:
    explicit Run(const RegularExpression& owner)
        : owner_(owner),
          data_(pcre2_match_data_create(1, nullptr)),
          context_(pcre2_match_context_create(nullptr)) {
      if (!data_ || !context_) throw Error(ErrorCode::kOutOfMemory, "out of memory in PCRE2");
      pcre2_set_heap_limit(context_.get(), kHeapLimitKiB);
    }

    void find_all(std::string_view text, std::vector<Stretch>& stretches) override;

   private:
    void find_valid(std::string_view text, std::vector<Stretch>& stretches);
    bool find(std::string_view text, size_t from, size_t& start, size_t& end);
    int match(std::string_view text, size_t from);

    const RegularExpression& owner_;
    std::unique_ptr<pcre2_match_data, MatchDataFree> data_;
    std::unique_ptr<pcre2_match_context, MatchContextFree> context_;
    std::unique_ptr<pcre2_jit_stack, JitStackFree> stack_;
    int failures_ = 0;
  };

  std::unique_ptr<pcre2_code, CodeFree> code_;
  bool jit_ = false;
};

int RegularExpression::Run::match(std::string_view text, size_t from) {
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  if (owner_.jit_) {
    int result = pcre2_jit_match(owner_.code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK,
                                 data_.get(), context_.get());
    if (result == PCRE2_ERROR_JIT_STACKLIMIT && !stack_) {
      stack_.reset(pcre2_jit_stack_create(64u << 10, kMaxJitStack, nullptr));
      pcre2_jit_stack_assign(context_.get(), nullptr, stack_.get());
      result = pcre2_jit_match(owner_.code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK,
                               data_.get(), context_.get());
    }
    if (result != PCRE2_ERROR_JIT_STACKLIMIT) return result;
  }
  return pcre2_match(owner_.code_.get(), subject, text.size(), from,
                     PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data_.get(), context_.get());
}

bool RegularExpression::Run::find(std::string_view text, size_t from, size_t& start, size_t& end) {
  if (failures_ >= kMaxFailures) return false;
  const int result = match(text, from);
  if (result < 0) {
    if (result != PCRE2_ERROR_NOMATCH) ++failures_;
    return false;
  }
  const PCRE2_SIZE* ovector = pcre2_get_ovector_pointer(data_.get());
  start = ovector[0];
  end = ovector[1];
  return start >= from && end >= start;
}

void RegularExpression::Run::find_valid(std::string_view text, std::vector<Stretch>& stretches) {
  const size_t steps = std::min<size_t>(text.size(), UINT32_MAX / 128) * 64 + kFreeSteps;
  pcre2_set_match_limit(context_.get(), static_cast<uint32_t>(steps));
  size_t done = 0, from = 0, start = 0, end = 0;
  std::optional<size_t> last_match;
  while (from <= text.size() && find(text, from, start, end)) {
    if (start == end && last_match == end) {
      // An empty match directly after a match is none.
      from = end < text.size() ? end + decode_utf8(text, end).size : end + 1;
      continue;
    }
    if (start > done) stretches.push_back({start, false});
    stretches.push_back({end, true});
    done = from = end;
    last_match = end;
  }
  if (done < text.size()) stretches.push_back({text.size(), false});
}

void RegularExpression::Run::find_all(std::string_view text, std::vector<Stretch>& stretches) {
  if (is_valid_utf8(text)) return find_valid(text, stretches);
  std::string repaired;
  std::vector<std::pair<size_t, size_t>> repairs;  // where in `repaired`; bytes more than in `text`
  repaired.reserve(text.size() + text.size() / 8);
  for (size_t i = 0; i < text.size();) {
    const DecodedCodePoint point = decode_utf8(text, i);
    append_utf8(repaired, point.value);
    i += point.size;
    if (!point.valid) repairs.emplace_back(repaired.size(), repaired.size() - i);
  }
  const size_t first = stretches.size();
  find_valid(repaired, stretches);
  size_t repair = 0, surplus = 0;
  for (size_t i = first; i < stretches.size(); ++i) {
    for (; repair < repairs.size() && repairs[repair].first <= stretches[i].end; ++repair)
      surplus = repairs[repair].second;
    stretches[i].end -= surplus;
  }
}

std::string pcre2_message(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace

std::unique_ptr<Pattern> make_literal(std::string text) {
  return std::make_unique<Literal>(std::move(text));
}

std::unique_ptr<Pattern> make_regular_expression(std::string_view expression,
                                                 const JsonNode& where) {
  if (expression.size() > kMaxExpression) where.exceeds("bytes", expression.size(), kMaxExpression);
  if (!is_valid_utf8(expression)) where.fail("is not UTF-8");
  std::string translated;
  try {
    translated = translate_expression(expression);
  } catch (const std::string& what) {
    where.unsupported("holds the regular expression " + in_quotes(expression) + ", in which " +
                      what + " has no counterpart here");
  }
  const std::unique_ptr<pcre2_compile_context, CompileContextFree> context(
      pcre2_compile_context_create(nullptr));
  if (!context) throw Error(ErrorCode::kOutOfMemory, "out of memory in PCRE2");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_parens_nest_limit(context.get(), 100);
  int code = 0;
  PCRE2_SIZE offset = 0;
  // Ruby's '^' and '$' are always those of lines.
  std::unique_ptr<pcre2_code, CodeFree> compiled(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code,
                    &offset, context.get()));
  if (!compiled) {
    where.unsupported("holds the regular expression " + in_quotes(expression) +
                      ", which does not compile: " + pcre2_message(code) + " at " +
                      std::to_string(offset));
  }
  return std::make_unique<RegularExpression>(std::move(compiled));
}

std::unique_ptr<Pattern> read_pattern(const JsonNode& node) {
  std::string_view literal;
  if (node.value().is_string()) {
    literal = node.as_string();
  } else if (const auto expression = node.find("Regex")) {
    return make_regular_expression(expression->as_string(), *expression);
  } else {
    literal = node.get("String").as_string();
  }
  if (literal.empty()) node.unsupported("is an empty pattern, which this program does not know");
  return make_literal(std::string(literal));
}

}  // namespace omg::huggingface
